// Where Rust would cross into JavaScript many times, once: a crossing costs more than most of what is done beyond it.

/** The texts of statements that Rust has sent before, which it then calls by their numbers. They outlive a crash of Rust. */
const texts = [];

/** Keeps the text of a statement; gives its number. */
export function keep(text) {
  const number = texts.indexOf(text);
  return number < 0 ? texts.push(text) - 1 : number;
}

/**
 * Runs a batch: `statements` is JSON, for each its text or the number of that, and then its parameters. Gives null if
 * there is no answer after so many milliseconds, and else the rows that were read, those that were written, and the one
 * column of each row, statement by statement. That is JSON, so no row holds what they are set apart with.
 */
export function batch({ DB }, statements, ms) {
  return new Promise((resolve, reject) => {
    const bound = [];
    for (const [text, values] of JSON.parse(statements)) {
      const prepared = DB.prepare(texts[text] ?? text);
      bound.push(values.length ? prepared.bind(...values) : prepared);
    }
    const timer = setTimeout(resolve, ms, null);
    DB.batch(bound).then((answers) => {
      clearTimeout(timer);
      resolve(told(answers));
    }).catch((error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

function told(answers) {
  let read = 0;
  let written = 0;
  let rows = '';
  for (const { results, meta } of answers) {
    read += meta?.rows_read ?? 0;
    written += meta?.rows_written ?? 0;
    rows += '\x1d';
    for (const { row } of results) rows += row.concat('\x1e');
  }
  return `${read}\x1d${written}${rows}`;
}

/** A JSON answer, and its line in the log. The text is the request's id, the line, further headers and the body. */
export function respond(status, text) {
  const [id, line, more] = text.split('\n', 3);
  console.log(line);
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-request-id': id };
  if (more) Object.assign(headers, Object.fromEntries(JSON.parse(more)));
  return new Response(text.slice(id.length + line.length + more.length + 3), { status, headers });
}

/** Whether the rate limiter lets this key pass; rejects if the limiter itself fails. */
export async function withinRate(limiter, key) {
  return (await limiter.limit({ key })).success !== false;
}
