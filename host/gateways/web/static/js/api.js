// Requests to the bridge. A refused session leads to the login page.

let csrf = null;

async function request(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options });
  if (response.status === 401) location.assign("/login");
  return response;
}

export async function read(path) {
  const response = await request(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

export async function command(device, name, args) {
  for (let fresh = csrf === null; ; fresh = true) {
    if (fresh) csrf = (await read("/api/session")).csrf;
    const response = await request("/api/commands", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Fanwise-CSRF": csrf },
      body: JSON.stringify({ device, name, args }),
    });
    // After a restart of the bridge the page holds an old token: ask for a new one, once.
    if (response.status === 403 && !fresh) continue;
    const body = await response.json();
    return { ok: Boolean(body.ok), msg: body.msg || body.error || "" };
  }
}
