// Keys for labelling. A key presses the button that names it (data-key); in a rubric digits fill one line after the
// other; in a text that is marked a digit gives the selection that label. Without this script every button still works.
"use strict";
(() => {
  const main = document.querySelector("main");
  const form = main.querySelector("form.judge");
  const spans = main.querySelector("textarea[name=spans]");
  const text = main.querySelector("textarea.marked");
  let sent = false;
  if (text) { // a text that may be changed has a cursor, which selects by keys; then nothing changes it
    text.readOnly = false;
    text.addEventListener("beforeinput", (event) => event.preventDefault());
    text.focus();
    text.setSelectionRange(0, 0);
  }
  document.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });
  const editable = (element) => {
    const field = element.closest("input:not([type=radio]), select, textarea");
    return field === text ? null : field;
  };
  const characters = (value) => [...value].length;
  const mark = (label) => {
    const start = text.selectionStart, end = text.selectionEnd;
    if (start === end) return false;
    const from = characters(text.value.slice(0, start)), to = from + characters(text.value.slice(start, end));
    spans.value += `${spans.value && !spans.value.endsWith("\n") ? "\n" : ""}${label} ${from}-${to}\n`;
    text.setSelectionRange(end, end);
    return true;
  };
  const points = (digit) => {
    const lines = [...form.querySelectorAll("fieldset")];
    const open = lines.find((line) => !line.querySelector("input:checked"));
    const choice = open && open.querySelector(`input[value="${digit}"]`);
    if (choice) choice.checked = true;
    return Boolean(choice);
  };
  document.addEventListener("keydown", (event) => {
    const field = editable(event.target);
    if (field) {
      if (event.key === "Escape") field.blur();
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        const button = form.querySelector("button[data-written]");
        if (button) form.requestSubmit(button);
      } else return;
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || sent) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "Enter" && event.target.closest("button, a, summary")) return;
    const button = main.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const digit = /^[0-9]$/.test(key);
    if (digit && form && form.querySelector("fieldset")) { if (!points(key)) return; }
    else if (button && button.dataset.label !== undefined && text) { if (!mark(button.dataset.label)) return; }
    else if (button && button.dataset.write !== undefined) {
      const area = form.querySelector("textarea");
      area.focus();
      area.select();
    } else if (button) button.form ? button.form.requestSubmit(button) : button.click();
    else return;
    event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-label]");
    if (button && text) mark(button.dataset.label);
  });
})();
