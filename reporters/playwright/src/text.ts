// What a terminal takes for colours, links and the like.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are control characters
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are control characters
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are control characters
const CONTROLS_WITHIN_LINES = /[\x00-\x08\x0b-\x1f\x7f-\x9f]+/g;

/** One line without colours and control characters, of at most so many characters. */
export function oneLine(text: string, limit: number): string {
  return cut(text.replace(ESCAPES, '').replace(CONTROLS, ' ').trim(), limit);
}

/** The same, but its lines and tabs stay. */
export function lines(text: string, limit: number): string {
  return cut(text.replace(ESCAPES, '').replace(CONTROLS_WITHIN_LINES, '').trim(), limit);
}

/** JSON readers refuse half a character, which cutting can leave. */
function cut(text: string, limit: number): string {
  return text.length <= limit ? text.toWellFormed() : `${text.slice(0, limit - 1).toWellFormed()}…`;
}
