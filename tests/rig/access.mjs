// Cloudflare Access's part, as far as the Worker sees it: the certificates of a team, and tokens as Access mints them, or as
// somebody would who is not Access. Prints its address, which is the team's issuer, and serves until it is ended.
//
//   GET  /cdn-cgi/access/certs   the team's public keys (JWKS)
//   POST /tokens                 a token; the body says how it differs from a good one:
//                                {claims: {…}, header: {…}, key: "team" | "next" | "foreign", forge: "none" | "hs256"}
//   POST /rotate                 from now on the team has the key "next" as well
//   POST /trouble                what the certificates do from now on: "none", "down", "silent", "slow", "html", "huge", "redirect"
//   GET  /asked                  how often they were asked for

import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';

export const AUDIENCE = 'the-audience-tag';

const keys = {};
for (const name of ['team', 'next', 'foreign']) {
  keys[name] = { kid: name === 'foreign' ? 'team' : name, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) };
}
const published = ['team'];
let trouble = 'none';
let asked = 0;

const base64 = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A null takes a claim away. */
const changed = (what, by = {}) =>
  Object.fromEntries(Object.entries({ ...what, ...by }).filter(([, value]) => value !== null));

function token({ claims, header, key = 'team', forge }, issuer) {
  const { kid, publicKey, privateKey } = keys[key];
  const now = Math.floor(Date.now() / 1000);
  const algorithm = { none: 'none', hs256: 'HS256' }[forge] ?? 'RS256';
  const signed = [
    changed({ alg: algorithm, kid, typ: 'JWT' }, header),
    changed(
      {
        aud: [AUDIENCE],
        email: 'ada@example.com',
        exp: now + 3600,
        iat: now,
        nbf: now,
        iss: issuer,
        type: 'app',
        identity_nonce: 'x',
        sub: '7335d417-61da-459d-899c-0a01c76a2f94',
        country: 'US',
      },
      claims,
    ),
  ]
    .map(base64)
    .join('.');
  if (forge === 'none') return `${signed}.`;
  if (forge === 'hs256') {
    const secret = publicKey.export({ type: 'spki', format: 'pem' });
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
}

function certs() {
  const jwk = (name) => ({
    kid: keys[name].kid,
    alg: 'RS256',
    use: 'sig',
    ...keys[name].publicKey.export({ format: 'jwk' }),
  });
  const pem = (name) => ({
    kid: keys[name].kid,
    cert: keys[name].publicKey.export({ type: 'spki', format: 'pem' }),
  });
  return JSON.stringify({ keys: published.map(jwk), public_cert: pem('team'), public_certs: published.map(pem) });
}

/** The certificates, as the trouble has them. */
function serveCerts(answer) {
  asked += 1;
  answer.setHeader('content-type', 'application/json');
  switch (trouble) {
    case 'down':
      return answer.writeHead(503).end('{}');
    case 'silent':
      return undefined;
    case 'slow':
      // A head at once, and a body that does not come.
      return answer.writeHead(200).write('{"keys":');
    case 'html':
      return answer.end('<html>');
    case 'huge':
      return answer.end(certs().padEnd(10_000_000));
    case 'redirect':
      return answer.writeHead(302, { location: '/cdn-cgi/access/certs?elsewhere' }).end();
    default:
      return answer.end(certs());
  }
}

const server = createServer(async (request, answer) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  switch (`${request.method} ${request.url}`) {
    case 'GET /cdn-cgi/access/certs':
      return serveCerts(answer);
    case 'GET /cdn-cgi/access/certs?elsewhere':
      return answer.end(certs());
    case 'POST /tokens':
      return answer.end(token(JSON.parse(body || '{}'), issuer));
    case 'POST /rotate':
      published.push('next');
      return answer.end();
    case 'POST /trouble':
      trouble = body;
      return answer.end();
    case 'GET /asked':
      return answer.end(String(asked));
    default:
      return answer.writeHead(404).end();
  }
});
let issuer = '';
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  console.log(issuer);
});
