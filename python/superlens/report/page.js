"use strict";
(() => {
  const stage = document.getElementById("stage");
  const handle = document.getElementById("divider");
  const controls = document.getElementById("stage-controls");
  const images = [...stage.querySelectorAll("img")];
  const sides = ["left", "right"];

  const cut = (percent) => {
    const value = Math.min(100, Math.max(0, percent));
    stage.style.setProperty("--cut", value + "%");
    handle.setAttribute("aria-valuenow", Math.round(value));
    handle.setAttribute("aria-valuetext", Math.round(value) + " percent from the left");
  };
  const show = (side, name) => {
    for (const image of images) image.classList.toggle(side, image.dataset.layer === name);
    stage.querySelector(".tag." + side + "-tag").textContent = name;
  };
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    cut(((event.clientX - box.left) / box.width) * 100);
  };

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stage.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  handle.addEventListener("keydown", (event) => {
    const now = Number(handle.getAttribute("aria-valuenow"));
    const step = event.shiftKey ? 10 : 2;
    const target = {
      ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step,
      PageDown: now - 10, PageUp: now + 10, Home: 0, End: 100,
    }[event.key];
    if (target === undefined) return;
    cut(target);
    event.preventDefault();
  });
  for (const side of sides) {
    const choice = document.getElementById("choose-" + side);
    choice.addEventListener("change", () => show(side, choice.value));
  }
  document.getElementById("choose-gamma").addEventListener("change", (event) => {
    stage.classList.toggle("gamma", event.target.value === "0.5");
  });
  controls.hidden = false;

  const folds = [...document.querySelectorAll("details.fold")];
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (!fold) return;
    fold.open = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  for (const link of document.querySelectorAll('a[href^="#"]')) link.addEventListener("click", () => setTimeout(reveal));
  const all = document.getElementById("open-all");
  all.hidden = false;
  all.addEventListener("click", () => {
    const open = !folds.every((fold) => fold.open);
    for (const fold of folds) fold.open = open;
    all.textContent = open ? "Close all" : "Open all";
  });
  reveal();
})();
