// Shows times in the viewer's time zone, runs countdowns and keeps the parts marked data-live up to
// date; also the color theme, copy buttons and keyboard shortcuts. Without this script, times are in
// UTC, the theme is the system's, and a page changes only when it is reloaded.
"use strict";

// Times are relative to the clock of the database, not to that of the viewer, which may be wrong.
const made = new Date(document.body.dataset.now);
const ahead = isNaN(made) ? 0 : made - Date.now();
const now = () => Date.now() + ahead;

const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const formats = {
  time: new Intl.DateTimeFormat(undefined, { timeStyle: "short" }),
  day: new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" }),
};
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(at) {
  const seconds = (at - now()) / 1000;
  if (Math.abs(seconds) >= 30 * 86400) return day.format(at);
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return seconds > 0 ? "in less than a minute" : "just now";
}

function localize(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    const utc = time.textContent;
    if (time.classList.contains("ago")) {
      time.title = `${inZone.format(at)} (${utc})`;
      time.textContent = ago(at);
    } else {
      time.title = utc;
      time.textContent = inZone.format(at);
    }
  }
  // Labels of the chart, and its numbers on hover.
  for (const label of root.querySelectorAll("[data-at]")) {
    const at = new Date(label.dataset.at);
    label.textContent = label.dataset.format ? formats[label.dataset.format].format(at) : inZone.format(at) + label.textContent.slice(label.textContent.indexOf(": "));
  }
  for (const button of root.querySelectorAll("button.copy")) button.hidden = !navigator.clipboard;
}

function countDown() {
  for (const part of document.querySelectorAll("[data-countdown]")) {
    const left = Math.max(0, Math.round((new Date(part.dataset.countdown) - now()) / 1000));
    const minutes = Math.floor(left / 60);
    part.textContent = left === 0 ? "now" : `in ${minutes}:${String(left % 60).padStart(2, "0")}`;
  }
}

let isRefreshing = false;
let isStale = false;
let isHeld = false; // the viewer has paused updates

// Replaces the live parts with current ones. A part that has the focus is not replaced: the user may be
// typing in it.
async function refresh() {
  if (isRefreshing || isHeld) {
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
    if (isStale && !isHeld) {
      isStale = false;
      refresh();
    }
  }
}

localize(document);
countDown();
setInterval(countDown, 1000);

// Forms with a time take it in the viewer's time zone; without this script, in UTC.
for (const field of document.querySelectorAll("input[name=zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
  field.form.querySelector("[data-zone]").textContent = field.form.querySelector("[data-zone]").dataset.zone;
}
setInterval(() => {
  for (const time of document.querySelectorAll("time.ago[title]")) time.textContent = ago(new Date(time.dateTime));
}, 30000);

const state = document.getElementById("live-state");
const hold = document.getElementById("hold-updates");
// The banner is on every page; it alone is not worth a connection.
if (document.querySelector("[data-live]:not(#banner)")) {
  const source = new EventSource("/live");
  const say = (text) => { state.textContent = isHeld ? "paused" : text; };
  document.getElementById("live").hidden = false;
  source.addEventListener("open", () => {
    say("live");
    refresh(); // changes before the stream opened were not announced
  });
  source.addEventListener("error", () => say("connection lost"));
  source.addEventListener("change", refresh);
  // The end of a countdown is a change without a notification.
  setInterval(() => {
    const end = document.querySelector("[data-countdown]");
    if (end && new Date(end.dataset.countdown) < now()) refresh();
  }, 2000);
  hold.hidden = false;
  hold.addEventListener("click", () => {
    isHeld = !isHeld;
    hold.setAttribute("aria-pressed", String(isHeld));
    say(source.readyState === EventSource.OPEN ? "live" : "connection lost");
    if (!isHeld && isStale) {
      isStale = false;
      refresh();
    }
  });
}

// The server reads the cookie, so that a page never appears in the wrong theme first.
const theme = document.getElementById("theme");
theme.closest("label").hidden = false;
theme.value = document.documentElement.dataset.theme ?? "";
theme.addEventListener("change", () => {
  if (theme.value) document.documentElement.dataset.theme = theme.value;
  else delete document.documentElement.dataset.theme;
  document.cookie = `thaw_theme=${theme.value}; path=/; max-age=${theme.value ? 31536000 : 0}; samesite=strict`;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});

const help = document.getElementById("help");
document.getElementById("show-help").hidden = false;
document.getElementById("show-help").addEventListener("click", () => help.showModal());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, dialog[open]")) return;
  if (event.key === "/") {
    event.preventDefault();
    const search = document.querySelector("header input[name=q]");
    search.focus();
    search.select();
  } else if (event.key === "?") {
    event.preventDefault();
    help.showModal();
  }
});

// For paper, everything is open.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("main details:not([open]):not(:has(form))")) {
    part.open = true;
    part.dataset.opened = "";
  }
});
addEventListener("afterprint", () => {
  for (const part of document.querySelectorAll("details[data-opened]")) {
    part.open = false;
    delete part.dataset.opened;
  }
});
