// Keys for lists: j and k go from row to row, Enter opens; on a single item n and p go to the next and the previous.
// A page about something that goes on is loaded again every 5 s, while it is in front and nothing in it is being used.
"use strict";
(() => {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
  let at = -1;
  const go = (to) => {
    if (!rows.length) return;
    if (at >= 0) rows[at].classList.remove("here");
    at = Math.max(0, Math.min(rows.length - 1, to));
    rows[at].classList.add("here");
    rows[at].querySelector("a").focus();
  };
  if (document.querySelector("[data-live]")) setInterval(() => {
    const used = document.activeElement && document.activeElement.closest("main a, input, select, textarea, button");
    if (!document.hidden && !used && getSelection().isCollapsed) location.reload();
  }, 5000);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, select, textarea, button")) return;
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at - 1);
    else if (event.key === "n" || event.key === "p") {
      const link = document.querySelector(event.key === "n" ? "a[rel=next]" : "a[rel=prev]");
      if (link) link.click();
    } else return;
    event.preventDefault();
  });
})();
