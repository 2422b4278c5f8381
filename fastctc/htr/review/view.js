// What one points at is marked on both sides, in the image and in the text.
document.addEventListener("mouseover", (event) => {
  const name = event.target.dataset && event.target.dataset.n;
  document.querySelectorAll(".on").forEach((one) => one.classList.remove("on"));
  if (name) document.querySelectorAll(`[data-n="${CSS.escape(name)}"]`).forEach((one) => one.classList.add("on"));
});
