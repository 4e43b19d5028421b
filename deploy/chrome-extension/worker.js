// Keeps the badge up to date. Chrome ends this worker between alarms; nothing is kept in it.

import { refresh } from "./status.js";

const EVERY_MINUTES = 0.5;

chrome.runtime.onInstalled.addListener(start);
chrome.runtime.onStartup.addListener(start);
chrome.alarms.onAlarm.addListener(refresh);
chrome.storage.onChanged.addListener(refresh);

function start() {
  chrome.alarms.create("refresh", { periodInMinutes: EVERY_MINUTES });
  refresh();
}
