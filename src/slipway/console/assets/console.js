// Keys for lists: j and k go from row to row, Enter opens; on a single item n and p go to the next and the previous,
// u to the list they are of.
// A page about something that goes on gets its content anew every few seconds, while it is in front and nothing in it is
// marked; what has the focus, what is unfolded and how far a table was scrolled stay.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
  const all = (what) => [...document.querySelectorAll(`main ${what}`)];
  let at = -1;
  const go = (to) => {
    const found = rows();
    if (!found.length) return;
    for (const row of found) row.classList.remove("here");
    at = Math.max(0, Math.min(found.length - 1, to));
    found[at].classList.add("here");
    found[at].querySelector("a").focus();
  };
  const replace = (fresh) => {
    const main = document.getElementById("main"), focused = document.activeElement;
    const link = main.contains(focused) && focused.getAttribute("href");
    const open = all("details").map((one) => one.open), scrolled = all(".wide, pre").map((one) => one.scrollLeft);
    main.replaceChildren(...fresh.childNodes);
    all("details").forEach((one, n) => { one.open = Boolean(open[n]); });
    all(".wide, pre").forEach((one, n) => { one.scrollLeft = scrolled[n] || 0; });
    const again = link && all("a").find((one) => one.getAttribute("href") === link);
    if (!again) return;
    at = rows().indexOf(again.closest("tr"));
    again.focus({preventScroll: true});
  };
  const renew = async () => {
    const marked = !getSelection().isCollapsed;
    const used = document.activeElement && document.activeElement.closest("main input, main select, main textarea");
    if (!document.hidden && !marked && !used) try {
      const answer = await fetch(location.href);
      if (answer.redirected) return location.reload();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      if (answer.ok && fresh) replace(fresh);
    } catch (error) { /* the server is not there: the page stays, and is tried again */ }
    wait();
  };
  const wait = () => {
    const live = document.querySelector("[data-live]");
    if (live) setTimeout(renew, 1000 * Number(live.dataset.live));
  };
  wait();
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, select, textarea, button")) return;
    if (event.key === "j") go(at + 1);
    else if (event.key === "k") go(at - 1);
    else if ("npu".includes(event.key)) {
      const link = document.querySelector(`a[rel=${{n: "next", p: "prev", u: "up"}[event.key]}]`);
      if (link) link.click();
    } else return;
    event.preventDefault();
  });
})();
