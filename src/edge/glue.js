// The calls to the runtime that are made here and not through the `worker` crate; src/edge/d1.rs says why.

/** The numbers of the databases that are bound, the smallest first: 0 is `DB`, n is `DB_n`. */
export const databases = (env) =>
  Object.keys(env)
    .map((name) => (name === "DB" ? 0 : Number(/^DB_([1-9]\d{0,2})$/.exec(name)?.[1])))
    .filter((number) => number <= 511)
    .sort((a, b) => a - b);

/**
 * Runs a batch in one crossing, in the database of this number: `statements` is JSON, `[[text, [parameter, …]], …]`. Gives null if there is no answer
 * after `ms` milliseconds, and else JSON: `{"read": rows, "written": rows, "size": bytes, "seen": bookmark, "rows": [[row, …], …]}`.
 * Each row of ours is one column that is JSON already. With `seen`, which is one of D1's constraints or an earlier bookmark, it may
 * be answered by a replica that has seen as much; the bookmark says what was seen this time.
 */
export async function batch(env, database, seen, statements, ms) {
  const primary = env[database ? `DB_${database}` : "DB"];
  const DB = seen ? primary.withSession(seen) : primary;
  const bound = JSON.parse(statements).map(([text, values]) => DB.prepare(text).bind(...values));
  let timer;
  const deadline = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  const answers = await Promise.race([DB.batch(bound), deadline]).finally(() => clearTimeout(timer));
  if (!answers) return null;
  let read = 0;
  let written = 0;
  let size = null;
  for (const { meta } of answers) {
    read += meta?.rows_read ?? 0;
    written += meta?.rows_written ?? 0;
    size = meta?.size_after ?? size;
  }
  const rows = answers.map(({ results }) => `[${results.map(({ row }) => `${row}`)}]`);
  const bookmark = JSON.stringify(DB.getBookmark?.() ?? null);
  return `{"read":${read},"written":${written},"size":${size},"seen":${bookmark},"rows":[${rows}]}`;
}

/** Whether the rate limiter of this name lets this key pass; rejects if the limiter itself fails. */
export async function withinRate(env, limiter, key) {
  const binding = env[limiter];
  return !binding || (await binding.limit({ key })).success !== false;
}

/** What `promise` gives; rejects if that is nothing within `ms` milliseconds. */
function within(promise, ms) {
  let timer;
  const deadline = new Promise((_, reject) => (timer = setTimeout(reject, ms, new Error("no answer"))));
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

/** Whether there is a bucket for the archive. */
export const hasBucket = ({ ARCHIVES }) => Boolean(ARCHIVES);

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
const through = (bytes, stream) => new Response(new Response(bytes).body.pipeThrough(stream));

/**
 * Puts `members` (a JSON array of texts), each gzipped, into the bucket as one object, unless it is there. The bucket compares its
 * SHA-256 with ours, and tells it again afterwards; rejects if that is another, or there is no answer within `ms` milliseconds. Gives
 * JSON: `[key, SHA-256, bytes, [bytes of each member, …]]`.
 */
export function putObject({ ARCHIVES }, prefix, members, ms) {
  const put = async () => {
    const parts = [];
    for (const text of JSON.parse(members)) parts.push(await through(text, new CompressionStream("gzip")).arrayBuffer());
    const object = await new Blob(parts).arrayBuffer();
    const sha256 = hex(await crypto.subtle.digest("SHA-256", object));
    const key = `${prefix}${sha256}.ndjson.gz`;
    await ARCHIVES.put(key, object, { sha256, onlyIf: { etagDoesNotMatch: "*" } });
    const kept = await ARCHIVES.head(key);
    if (kept?.size !== object.byteLength || hex(kept.checksums.sha256) !== sha256) throw new Error("another object");
    return JSON.stringify([key, sha256, kept.size, parts.map(({ byteLength }) => byteLength)]);
  };
  return within(put(), ms);
}

/** The text of one member of an object; rejects if the bucket does not give it within `ms` milliseconds. */
export function getMember({ ARCHIVES }, object, offset, length, ms) {
  const get = async () => {
    const { body } = await ARCHIVES.get(object, { range: { offset, length } });
    return through(body, new DecompressionStream("gzip")).text();
  };
  return within(get(), ms);
}

/**
 * The text that `url` itself serves, of at most `most` bytes; rejects if there is none within `ms` milliseconds. A redirect is
 * followed nowhere: whoever could make one would say whose keys are whose.
 */
export async function getText(url, most, ms) {
  const answer = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(ms) });
  if (answer.status !== 200) throw new Error("no text");
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    if (bytes > most) throw new Error("too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Whether the RSA key of this modulus and exponent (in URL-safe base64) has signed a text; rejects if it is no key. */
export async function hasSigned(n, e, signed, signature) {
  // A copy: what WebAssembly lends may be another's after the first await.
  const given = signature.slice();
  const scheme = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, scheme, false, ["verify"]);
  return crypto.subtle.verify(scheme, key, given, new TextEncoder().encode(signed));
}

/** The hub of a project, or what ticks a database. */
const hub = ({ HUB }, name) => HUB.get(HUB.idFromName(name));

/** Tells a project's hub which runs have changed (`runs` is JSON); rejects if it does not take it within `ms` milliseconds. */
export async function tellHub(env, project, runs, ms) {
  const told = hub(env, project).fetch("http://hub/", { method: "POST", body: runs, signal: AbortSignal.timeout(ms) });
  if (!(await told).ok) throw new Error("the hub did not take it");
}

/**
 * Opens a WebSocket to a project's hub; it hears what these tags name. Gives the response that switches protocols, or rejects
 * if there is none within `ms` milliseconds. An AbortSignal would close the socket later, too.
 */
export async function openLine(env, project, tags, ms) {
  return within(hub(env, project).fetch("http://hub/", { headers: { upgrade: "websocket", "x-estop-tags": tags } }), ms);
}

/**
 * Has the ticks of these databases begun, each by an object of its own, which says at once whether it does. Gives JSON: the status of
 * each answer, 0 if there is none within `ms` milliseconds.
 */
export async function beginTicks(env, databases, scheduled_for, ms) {
  const begin = async (database) => {
    try {
      const headers = { "x-estop-tick": `${database} ${scheduled_for}` };
      const asked = hub(env, `database:${database}`).fetch("http://hub/", { method: "POST", headers });
      return (await within(asked, ms)).status;
    } catch {
      return 0;
    }
  };
  return JSON.stringify(await Promise.all(Array.from(databases, begin)));
}

/** Reads an address; gives JSON of its parts, or null if it is none. */
export function parseUrl(text) {
  try {
    const { href, protocol, hostname, username, password } = new URL(text);
    return JSON.stringify({ href, protocol, hostname, username, password });
  } catch {
    return null;
  }
}
