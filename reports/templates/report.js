"use strict";
// Click a header to sort; rows without a value stay at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const numeric = head.classList.contains("n");
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell.textContent.trim();
        if (!numeric) return text;
        return cell.dataset.value ?? (isNaN(text) ? "" : text);
      };
      const order = (x, y) => {
        const a = key(x), b = key(y);
        if (a === "" || b === "") return (a === "") - (b === "");
        return (falling ? -1 : 1) * (numeric ? a - b : a.localeCompare(b));
      };
      body.append(...[...body.rows].sort(order));
    });
  });
}
