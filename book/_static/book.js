// What the theme leaves undone for those who listen to a page or use its keyboard.
document.addEventListener("DOMContentLoaded", () => {
  // A label that differs from the words in the element hides them: those are the name.
  for (const part of document.querySelectorAll("summary[aria-label]")) {
    part.removeAttribute("aria-label");
  }
  document.querySelector(".search-button-field")?.removeAttribute("aria-label");
  // Icons are letters of a font, which are not to be read out.
  for (const icon of document.querySelectorAll(".theme-switch-button > i")) {
    icon.setAttribute("aria-hidden", "true");
  }
  // Its entries are no items of a list, as a list's must be.
  for (const list of document.querySelectorAll(".citation-list[role=list]")) {
    list.removeAttribute("role");
  }
});
