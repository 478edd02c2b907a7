// What pages do by themselves: times in the viewer's zone, countdowns, and the parts marked data-live kept up to date. Without
// this script a page is the same, in UTC, until it is loaded again.
"use strict";

const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = inZone.format(new Date(time.dateTime));
  }
}

function countDown() {
  for (const part of document.querySelectorAll("[data-countdown]")) {
    const left = Math.max(0, Math.round((new Date(part.dataset.countdown) - Date.now()) / 1000));
    const minutes = Math.floor(left / 60);
    part.textContent = left === 0 ? "now" : `in ${minutes}:${String(left % 60).padStart(2, "0")}`;
  }
}

let isRefreshing = false;
let isStale = false;

// Puts the parts of the page as it is now in place of the old ones. A part in which somebody is typing is left alone.
async function refresh() {
  if (isRefreshing) {
    isStale = true;
    return;
  }
  isRefreshing = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live][id]")) {
      const fresh = page.getElementById(part.id);
      if (!fresh || part.contains(document.activeElement)) continue;
      localise(fresh);
      if (fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
    countDown();
  } finally {
    isRefreshing = false;
    if (isStale) {
      isStale = false;
      refresh();
    }
  }
}

localise(document);
countDown();
setInterval(countDown, 1000);

const state = document.getElementById("live-state");
if (document.querySelector("[data-live]")) {
  const source = new EventSource("/live");
  source.addEventListener("open", () => {
    state.textContent = "live";
    refresh(); // nobody told of what changed while there was no stream, since the page was made or since the connection was lost
  });
  source.addEventListener("error", () => {
    state.textContent = "not live: the connection is lost";
  });
  source.addEventListener("change", refresh);
  // The countdown's end is a change that no row tells of.
  setInterval(() => {
    const end = document.querySelector("[data-countdown]");
    if (end && new Date(end.dataset.countdown) < Date.now()) refresh();
  }, 2000);
}
