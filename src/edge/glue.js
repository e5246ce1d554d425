// Where Rust would cross into JavaScript many times, once: a crossing costs more than most of what is done beyond it.

/** The headers that are read, in one array. */
export const headers = ({ headers }) => [
  headers.get('authorization'), headers.get('idempotency-key'), headers.get('content-type'), headers.get('content-length'),
  headers.get('cf-ray'),
];

/** A JSON answer. `more` is the names and values of further headers, in turn. */
export function respond(status, body, requestId, more) {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-request-id': requestId };
  for (let i = 0; i < more.length; i += 2) headers[more[i]] = more[i + 1];
  return new Response(body, { status, headers });
}

/** What the promise gives, or null if it has given nothing after so many milliseconds. */
export async function within(promise, ms) {
  let timer;
  const timeout = new Promise((resolve) => { timer = setTimeout(resolve, ms, null); });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the rate limiter lets this key pass; rejects if the limiter itself fails. */
export async function withinRate(limiter, key) {
  return (await limiter.limit({ key })).success !== false;
}
