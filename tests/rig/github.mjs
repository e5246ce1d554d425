// GitHub's part, as far as the Worker sees it. Every request is held to GitHub's own description of its API (npm's
// @octokit/openapi, whose folder of modules is the first argument), and so is every answer. Prints a line of JSON, {url, key}: where it
// is, and the App's private key as GitHub gives it out. Serves until it is ended.
//
//   POST /rig/next     what happens instead to the next request to an endpoint: {to: "installation" | "access_tokens" | "check-runs" |
//                      "run" | "cancel", status, headers, hang: true, close: true, lasts: seconds of a token, started_at: of a workflow run}
//   POST /rig/forget   no token that was given so far is good any more
//   GET  /rig/heard    {requests: [{method, path, body}], problems: [what was wrong with a request or an answer]}

import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/`);
const Ajv = require('ajv').default;
const described = JSON.parse(readFileSync(require.resolve('@octokit/openapi/generated/api.github.com.json'), 'utf8'));

/** OpenAPI 3.0 says `nullable` where JSON Schema has a type `null`. */
function nullable(node) {
  if (Array.isArray(node)) return node.map(nullable);
  if (node === null || typeof node !== 'object') return node;
  const { nullable: may, ...rest } = node;
  const plain = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, nullable(value)]));
  if (may === true) return { anyOf: [plain, { type: 'null' }] };
  return may === undefined ? plain : { ...plain, nullable: nullable(may) };
}

const ajv = new Ajv({ strict: false, logger: false, allErrors: true });
require('ajv-formats').default(ajv);
ajv.addSchema({ $id: 'github', components: { schemas: nullable(described.components.schemas) } });
const absolute = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"github#/'));
const checks = new Map();
/** What a value has against a schema: a text, or nothing. */
function against(schema, value) {
  const text = JSON.stringify(schema);
  if (!checks.has(text)) checks.set(text, ajv.compile(absolute(nullable(schema))));
  const check = checks.get(text);
  return check(value) ? '' : ajv.errorsText(check.errors);
}
const resolved = ({ $ref, ...own }) =>
  $ref
    ? $ref
        .slice(2)
        .split('/')
        .reduce((node, name) => node[name], described)
    : own;
const example = (name) => structuredClone(described.components.examples[name].value);

const ENDPOINTS = [
  ['installation', 'get', '/repos/{owner}/{repo}/installation'],
  ['access_tokens', 'post', '/app/installations/{installation_id}/access_tokens'],
  ['check-runs', 'post', '/repos/{owner}/{repo}/check-runs'],
  ['check-runs', 'patch', '/repos/{owner}/{repo}/check-runs/{check_run_id}'],
  ['run', 'get', '/repos/{owner}/{repo}/actions/runs/{run_id}'],
  ['cancel', 'post', '/repos/{owner}/{repo}/actions/runs/{run_id}/cancel'],
].map(([name, method, path]) => ({
  name,
  method: method.toUpperCase(),
  pattern: new RegExp(`^${path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`),
  operation: described.paths[path][method],
}));

const APP = '4242';
/** The repositories that the App is installed on, and the number of each installation. */
const INSTALLED = { 'acme/shop': 71, 'acme/store': 72 };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const publicKey = createPublicKey(privateKey);
const tokens = new Map();
const made = new Map();
const requests = [];
const problems = [];
const next = [];

/** What is wrong with what the App shows of itself. */
function jwtProblem(jwt) {
  const [header, claims, signature] = jwt.split('.');
  if (!signature) return 'it is no JWT';
  const part = (text) => JSON.parse(Buffer.from(text, 'base64url'));
  if (part(header).alg !== 'RS256') return 'it is not RS256';
  if (/[^\w.-]/.test(jwt)) return 'it is not URL-safe';
  if (!verify('sha256', Buffer.from(`${header}.${claims}`), publicKey, Buffer.from(signature, 'base64url')))
    return 'its signature is wrong';
  const { iss, iat, exp } = part(claims);
  const now = Date.now() / 1000;
  if (iss !== APP) return `its issuer is ${iss}`;
  // As GitHub's documentation has it: not of the future, and ten minutes ahead at most.
  if (!(iat <= now && exp > now && exp <= now + 600)) return `it is from ${iat} to ${exp}, and now is ${now}`;
  return '';
}

const refusal = (status, message) => ({
  message,
  documentation_url: 'https://docs.github.com/rest',
  status: `${status}`,
});

/** An answer by the description's own examples. */
function answer({ name, method }, params, body, { lasts = 3600, started_at = '2020-01-22T19:33:08Z' }) {
  const repository = `${params.owner}/${params.repo}`;
  switch (name) {
    case 'installation':
      if (!INSTALLED[repository]) return [404, refusal(404, 'Not Found')];
      return [200, { ...example('installation'), id: INSTALLED[repository], app_id: Number(APP) }];
    case 'access_tokens': {
      const [owner] = Object.keys(INSTALLED)
        .find((one) => INSTALLED[one] === Number(params.installation_id))
        .split('/');
      const given = `ghs_${tokens.size}${'x'.repeat(36)}`;
      tokens.set(given, { of: body.repositories.map((repo) => `${owner}/${repo}`), permissions: body.permissions });
      const expires_at = new Date(Date.now() + lasts * 1000).toISOString();
      return [201, { ...example('installation-token'), token: given, expires_at, permissions: body.permissions }];
    }
    case 'check-runs': {
      const id = method === 'POST' ? 900 + made.size : Number(params.check_run_id);
      if (method === 'PATCH' && made.get(id)?.repository !== repository) return [404, refusal(404, 'Not Found')];
      const run = { ...made.get(id)?.run, ...body };
      made.set(id, { repository, run });
      const { output, head_sha, external_id, details_url, started_at, status } = run;
      const whole = {
        ...example('check-run-example-of-in-progress-conclusion'),
        id,
        head_sha,
        external_id,
        details_url,
        started_at,
        status,
      };
      const { name, conclusion = null, completed_at = null } = run;
      return [
        method === 'POST' ? 201 : 200,
        { ...whole, name, conclusion, completed_at, output: { ...whole.output, ...output } },
      ];
    }
    case 'run':
      return [200, { ...example('workflow-run'), id: Number(params.run_id), run_started_at: started_at }];
    default:
      return [202, {}];
  }
}

/** Whether the token that is shown may do this. */
function tokenProblem({ name }, params, token) {
  const grant = tokens.get(token);
  if (!grant) return 401;
  const writes = name === 'cancel' || name === 'run' ? 'actions' : 'checks';
  if (!grant.of.includes(`${params.owner}/${params.repo}`))
    problems.push(`a token of ${grant.of} was shown for ${params.owner}/${params.repo}`);
  if (JSON.stringify(grant.permissions) !== `{"${writes}":"write"}`)
    problems.push(`a token may ${JSON.stringify(grant.permissions)}`);
  if (grant.of.length !== 1) problems.push(`a token is for ${grant.of}`);
  return 0;
}

function api(request, text) {
  const { method, url, headers } = request;
  const endpoint = ENDPOINTS.find((one) => one.method === method && one.pattern.test(url));
  if (!endpoint) {
    problems.push(`there is no ${method} ${url}`);
    return { status: 404, body: refusal(404, 'Not Found') };
  }
  const params = endpoint.pattern.exec(url).groups;
  const body = text ? JSON.parse(text) : undefined;
  requests.push({ method, path: url, body: body ?? null });
  const wrong = (what) => what && problems.push(`${method} ${url}: ${what}`);
  for (const [name, value] of Object.entries({
    accept: 'application/vnd.github+json',
    'user-agent': 'estop',
    'x-github-api-version': '2022-11-28',
  })) {
    if (headers[name] !== value) wrong(`${name} is ${headers[name]}`);
  }
  for (const parameter of (endpoint.operation.parameters ?? []).map(resolved)) {
    const value = params[parameter.name];
    if (value === undefined && !parameter.required) continue;
    wrong(
      value === undefined
        ? `no ${parameter.name}`
        : against(parameter.schema, parameter.schema.type === 'integer' ? Number(value) : value),
    );
  }
  const schema = endpoint.operation.requestBody?.content['application/json'].schema;
  if (schema) wrong(body === undefined ? 'no body' : against(schema, body));
  else if (body !== undefined) wrong('a body that nobody asked for');
  // Only what the description names: a slip is no extension.
  for (const name of Object.keys(schema?.properties && body ? body : {})) {
    if (!schema.properties[name]) wrong(`GitHub knows no ${name}`);
  }

  const index = next.findIndex(({ to }) => to === endpoint.name);
  const instead = index < 0 ? {} : next.splice(index, 1)[0];
  if (instead.hang || instead.close) return instead;

  const bearer = headers.authorization?.replace(/^Bearer /, '') ?? '';
  let status;
  let said;
  if (endpoint.name === 'installation' || endpoint.name === 'access_tokens') wrong(jwtProblem(bearer));
  else if (tokenProblem(endpoint, params, bearer)) [status, said] = [401, refusal(401, 'Bad credentials')];
  if (instead.status) [status, said] = [instead.status, refusal(instead.status, `status ${instead.status}`)];
  if (!status) [status, said] = answer(endpoint, params, body, instead);
  // What the description does not name is answered as all errors are.
  const known = endpoint.operation.responses[status];
  const shape = known
    ? resolved(known).content['application/json'].schema
    : { $ref: '#/components/schemas/basic-error' };
  const off = against(shape, said);
  if (off) problems.push(`the stand-in's own ${status} to ${method} ${url}: ${off}`);
  return { status, headers: instead.headers, body: said };
}

const server = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  switch (`${request.method} ${request.url}`) {
    case 'POST /rig/next':
      next.push(JSON.parse(text));
      return response.end();
    case 'POST /rig/forget':
      tokens.clear();
      return response.end();
    case 'GET /rig/heard':
      return response.end(JSON.stringify({ requests, problems }));
  }
  try {
    const { hang, close, status, headers, body } = api(request, text);
    if (close) return request.socket.destroy();
    if (hang) return undefined;
    return response
      .writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
      .end(JSON.stringify(body));
  } catch (error) {
    problems.push(`${request.method} ${request.url}: ${error.stack}`);
    return response.writeHead(500).end('{}');
  }
});
server.listen(0, '127.0.0.1', () => {
  const key = privateKey.export({ type: 'pkcs1', format: 'pem' });
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, key }));
});
