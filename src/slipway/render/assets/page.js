for (const box of document.querySelectorAll(".filter")) {
  const articles = [...box.parentElement.querySelectorAll(":scope > article")];
  const words = box.querySelector("input[type=search]");
  const tags = [...box.querySelectorAll("input[type=checkbox]")];
  const show = () => {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = tags.filter((one) => one.checked).map((one) => one.value);
    let n = 0;
    for (const article of articles) {
      const text = article.textContent.toLowerCase();
      const has = article.dataset.tags.split(" ");
      const shown = asked.every((word) => text.includes(word)) && wanted.every((tag) => has.includes(tag));
      article.hidden = !shown;
      n += shown ? 1 : 0;
    }
    box.querySelector("output").textContent = `${n} / ${articles.length}`;
  };
  box.hidden = false;
  box.addEventListener("input", show);
  show();
}
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details")) one.open = true;
});
