// What goes out to webhooks and to GitHub. src/webhooks says what; here it is sent, and what is heard is told.

/** The first `most` bytes of a body, as text. */
async function beginning(body, most) {
  let text = "";
  let left = most;
  const decoder = new TextDecoder();
  const reader = body?.getReader();
  while (reader && left > 0) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, left), { stream: true });
    left -= value.length;
  }
  // Whoever goes on and on is not listened to.
  reader?.cancel().catch(() => {});
  return (text + decoder.decode()).replaceAll("\0", "\ufffd");
}

/**
 * How many milliseconds an answer asks us to wait: by `Retry-After`, seconds or a date, or by GitHub's own header, once nothing is
 * left of what may be asked within an hour. Null if it does not.
 */
function wait({ headers }) {
  const after = headers.get("retry-after");
  const used_up = headers.get("x-ratelimit-remaining") === "0";
  const at = used_up && !after ? Number(headers.get("x-ratelimit-reset")) * 1000 : Date.parse(after);
  const ms = /^\s*\d+\s*$/.test(after ?? "") ? Number(after) * 1000 : at - Date.now();
  return Number.isNaN(ms) ? null : Math.round(Math.min(Math.max(ms, 0), 1e12));
}

const RS256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** What WebCrypto takes (PKCS#8) of a private key as GitHub gives it out (PKCS#1) or as openssl has made it. */
function pkcs8(pem) {
  const der = Uint8Array.from(atob(pem.replace(/-----[^-]+-----|\\n|\s/g, "")), (char) => char.charCodeAt(0));
  if (!pem.includes("BEGIN RSA")) return der;
  const head = (tag, size) => [tag, 0x82, size >> 8, size & 255];
  // Version 0; the algorithm rsaEncryption without parameters (RFC 5208, RFC 8017).
  const algorithm = [2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
  return Uint8Array.from([
    ...head(0x30, algorithm.length + 4 + der.length),
    ...algorithm,
    ...head(4, der.length),
    ...der,
  ]);
}

/** What the App shows of itself (a JWT), for nine minutes. It begins a minute ago, for clocks that are slow. */
async function identity({ GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY }) {
  const base64 = (bytes) =>
    btoa(String.fromCharCode(...bytes)).replace(/[+/=]/g, (char) => ({ "+": "-", "/": "_" })[char] ?? "");
  const bytes = (text) => new TextEncoder().encode(text);
  const now = Math.floor(Date.now() / 1000);
  const parts = [
    { alg: "RS256", typ: "JWT" },
    { iat: now - 60, exp: now + 540, iss: GITHUB_APP_ID },
  ];
  const signed = parts.map((part) => base64(bytes(JSON.stringify(part)))).join(".");
  const key = await crypto.subtle.importKey("pkcs8", pkcs8(GITHUB_APP_PRIVATE_KEY), RS256, false, ["sign"]);
  return `${signed}.${base64(new Uint8Array(await crypto.subtle.sign(RS256, key, bytes(signed))))}`;
}

/** Tokens of GitHub's by what they open, until a few minutes before they expire. Whole ones: none awaits another request's. */
const tokens = new Map();

/**
 * Sends all of `posts` at once (JSON, `[{"method": …, "url": …, "headers": [[name, value], …], "body": …, "grant": …}, …]`). Gives
 * JSON of what was heard of each within `ms` milliseconds, with `most` bytes of its body. No redirect is followed.
 */
export async function sendAll(env, posts, ms, most) {
  const coming = new Map();

  const send = async ({ method, url, headers, body, grant, unless_started_after }) => {
    const abort = new AbortController();
    let timer;
    const deadline = new Promise((resolve) => (timer = setTimeout(resolve, ms, { timed_out: true })));
    let calls = 0;
    const ask = (method, url, headers, body) => {
      calls++;
      return fetch(url, { method, headers, body: body || undefined, redirect: "manual", signal: abort.signal });
    };
    const failed = async (answer, what = "") => {
      const text = await beginning(answer.body, most);
      return { status: answer.status, retry_after: wait(answer), body: (what + text).slice(0, most) };
    };

    /** A token that may do this and nothing else, or what was heard instead: `{token}` or `{instead}`. */
    const token = async ({ api, repo, writes }, name) => {
      if (!api) return { instead: { body: "GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY are not set." } };
      let jwt;
      try {
        jwt = await identity(env);
      } catch {
        return { instead: { body: "GITHUB_APP_PRIVATE_KEY is no private key of RSA in PEM." } };
      }
      const as = headers.concat([["authorization", `Bearer ${jwt}`]]);
      const installation = `/repos/${repo}/installation`;
      const installed = await ask("GET", api + installation, as);
      if (!installed.ok) return { instead: await failed(installed, `GET ${installation}: `) };
      const path = `/app/installations/${(await installed.json()).id}/access_tokens`;
      const wanted = JSON.stringify({ repositories: [repo.split("/")[1]], permissions: { [writes]: "write" } });
      const given = await ask("POST", api + path, as, wanted);
      if (!given.ok) return { instead: await failed(given, `POST ${path}: `) };
      const { token, expires_at } = await given.json();
      if (tokens.size > 500) tokens.clear();
      tokens.set(name, { token, until: Date.parse(expires_at) - 300_000 });
      return { token };
    };

    const exchange = async () => {
      if (!grant) {
        const answer = await ask(method, url, headers, body);
        return failed(answer);
      }
      const name = JSON.stringify(grant);
      const known = tokens.get(name);
      let pass = known?.until > Date.now() && known;
      if (!pass) {
        // Several of one repository ask once.
        if (!coming.has(name)) coming.set(name, token(grant, name));
        pass = await coming.get(name);
      }
      if (pass.instead) return { ...pass.instead, refused: true };
      const as = headers.concat([["authorization", `Bearer ${pass.token}`]]);
      const refused = (answer, method, url) => {
        // It was taken back: the next attempt gets another.
        if (answer.status === 401) tokens.delete(name);
        return failed(answer, `${method} ${url.slice(grant.api.length)}: `);
      };
      if (unless_started_after) {
        const workflow_run = url.replace(/\/cancel$/, "");
        const shown = await ask("GET", workflow_run, as);
        if (!shown.ok) return refused(shown, "GET", workflow_run);
        const { run_started_at } = await shown.json();
        if (Date.parse(run_started_at) > Date.parse(unless_started_after)) return { status: 409 };
      }
      const answer = await ask(method, url, as, body);
      if (!answer.ok) return refused(answer, method, url);
      // The status counts: without a body there is no id, and the next one is written anew.
      const id = (await answer.json().catch(() => null))?.id;
      return { status: answer.status, id: Number.isSafeInteger(id) ? id : null };
    };
    const heard = await Promise.race([exchange().catch(() => ({})), deadline]);
    clearTimeout(timer);
    if (heard.timed_out) abort.abort();
    return { timed_out: false, ...heard, calls };
  };
  return JSON.stringify(await Promise.all(JSON.parse(posts).map(send)));
}
