// Shows times in the viewer's time zone, runs countdowns and keeps the parts marked data-live up to date.
// Without this script, times are in UTC and a page changes only when it is reloaded.
"use strict";

const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function localize(root) {
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

// Replaces the live parts with current ones. A part that has the focus is not replaced: the user may be
// typing in it.
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
      localize(fresh);
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

localize(document);
countDown();
setInterval(countDown, 1000);

const state = document.getElementById("live-state");
if (document.querySelector("[data-live]")) {
  const source = new EventSource("/live");
  source.addEventListener("open", () => {
    state.textContent = "live";
    refresh(); // changes before the stream opened were not announced
  });
  source.addEventListener("error", () => {
    state.textContent = "not live: connection lost";
  });
  source.addEventListener("change", refresh);
  // The end of a countdown is a change without a notification.
  setInterval(() => {
    const end = document.querySelector("[data-countdown]");
    if (end && new Date(end.dataset.countdown) < Date.now()) refresh();
  }, 2000);
}
