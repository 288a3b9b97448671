"use strict";

// Sort a table by the column whose head was clicked: numbers by value, texts by the alphabet.
document.querySelectorAll(".sort").forEach((button) => {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    head.parentElement.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = head.closest("table").tBodies[0];
    const compare = (a, b) => {
      const [x, y] = [a.cells[column], b.cells[column]];
      const numeric = x.dataset.number !== undefined && y.dataset.number !== undefined;
      return numeric ? x.dataset.number - y.dataset.number : x.textContent.localeCompare(y.textContent);
    };
    const rows = [...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b)));
    body.append(...rows);
  });
});

// Show the cards that match every filter.
const filters = [...document.querySelectorAll("[data-filter]")];
const cards = [...document.querySelectorAll(".card")];
const filter = () => {
  let count = 0;
  cards.forEach((card) => {
    card.hidden = filters.some((one) => one.value && card.dataset[one.dataset.filter] !== one.value);
    count += card.hidden ? 0 : 1;
  });
  const output = document.getElementById("shown");
  if (output) output.textContent = count === 1 ? "1 clip" : count + " clips";
};
filters.forEach((one) => one.addEventListener("change", filter));
filter();

// Play one sound at a time.
document.querySelectorAll(".play").forEach((button) => {
  const sound = button.nextElementSibling;
  const show = (playing) => button.setAttribute("aria-pressed", String(playing));
  button.addEventListener("click", () => {
    if (!sound.paused) return sound.pause();
    document.querySelectorAll("audio").forEach((other) => other.pause());
    sound.currentTime = 0;
    return sound.play();
  });
  sound.addEventListener("play", () => show(true));
  sound.addEventListener("pause", () => show(false));
  sound.addEventListener("ended", () => show(false));
});
