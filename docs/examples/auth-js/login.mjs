// A login with a second factor, played by the official Auth0 client for Node.
//
//   node login.mjs enroll     password, set up an authenticator app, tokens
//   node login.mjs login      password, one-time password, tokens
//   node login.mjs recovery   password, recovery code, tokens and the next recovery code
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, verify as verifySignature } from 'node:crypto';
import { AuthClient, isMfaRequiredError } from '@auth0/auth0-auth-js';
import { needed, play, stop, variable } from './environment.mjs';

const steps = { enroll, login, recovery };
const step = steps[process.argv[2]];
if (!step) stop(`usage: node login.mjs ${Object.keys(steps).join('|')}`);

const domain = needed('DOMAIN');
const auth0 = new AuthClient({ domain, clientId: needed('CLIENT_ID'), clientSecret: needed('CLIENT_SECRET') });
const user = { username: needed('USERNAME'), password: needed('PASSWORD') };

await play(process.argv[2], step);

/** Sets up the authenticator app of a user who has no second factor yet. */
async function enroll() {
  const first = await passwordAsksForMore();
  assert.equal(first.requirements.challenge, undefined, 'this user has a second factor already');
  assert.ok(offers(first.requirements.enroll, 'otp'), 'an authenticator app may be enrolled');

  const app = await auth0.mfa.enrollAuthenticator({ authenticatorTypes: ['otp'], mfaToken: first.mfaToken });
  assert.equal(app.authenticatorType, 'otp');
  assert.match(app.secret, /^[A-Z2-7]{32}$/);
  assert.match(app.barcodeUri, /^otpauth:\/\/totp\//); // a person scans this one as a QR code
  assert.equal(app.recoveryCodes.length, 1, 'the first factor comes with a recovery code');

  const otp = oneTimePassword(app.secret, timeNow());
  const tokens = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken: first.mfaToken });
  const claims = await checkIdToken(tokens);

  const second = await passwordAsksForMore();
  await expectActive(second.mfaToken);
  return { secret: app.secret, recoveryCode: app.recoveryCodes[0], ...shown(tokens), claims };
}

/** Logs in with the authenticator app whose secret `enroll` printed. */
async function login() {
  const { mfaToken, requirements } = await passwordAsksForMore();
  assert.equal(requirements.enroll, undefined, 'this user has no second factor yet');
  assert.ok(offers(requirements.challenge, 'otp'), 'a one-time password is asked for');
  await expectActive(mfaToken);

  const otp = oneTimePassword(needed('SECRET'), timeNow());
  const tokens = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken });
  const claims = await checkIdToken(tokens);

  // A one-time password works once, although it is still on the display of the app.
  const again = await passwordAsksForMore();
  await expectRefusal({ factorType: 'otp', otp, mfaToken: again.mfaToken }, 'Invalid otp_code.');
  return { ...shown(tokens), claims };
}

/** Logs in with the recovery code, twice: each use gives the code for the next. */
async function recovery() {
  const old = needed('RECOVERY_CODE');
  const { mfaToken, requirements } = await passwordAsksForMore();
  assert.ok(offers(requirements.challenge, 'recovery-code'), 'a recovery code is accepted');

  const wrong = [...old].reverse().join('');
  await expectRefusal({ factorType: 'recovery-code', recoveryCode: wrong, mfaToken }, 'MFA Authorization rejected.');
  const next = await recover(old, mfaToken);
  assert.notEqual(next.recoveryCode, old);

  const again = await passwordAsksForMore();
  await expectRefusal({ factorType: 'recovery-code', recoveryCode: old, mfaToken: again.mfaToken },
    'MFA Authorization rejected.');
  return recover(next.recoveryCode, again.mfaToken);
}

async function recover(recoveryCode, mfaToken) {
  const tokens = await auth0.mfa.verify({ factorType: 'recovery-code', recoveryCode, mfaToken });
  const claims = await checkIdToken(tokens);
  assert.match(tokens.recoveryCode, /^[A-Z0-9]{24}$/, 'a new recovery code comes with the tokens');
  return { recoveryCode: tokens.recoveryCode, ...shown(tokens), claims };
}

/** Sends the password; the server must answer that it wants a second factor. */
async function passwordAsksForMore() {
  const refusal = await failure(auth0.getTokenByPassword({
    ...user, audience: variable('AUDIENCE'), scope: 'openid profile',
  }));
  if (!isMfaRequiredError(refusal)) throw refusal;
  assert.equal(refusal.statusCode, 403);
  assert.equal(refusal.cause.error_description, 'Multifactor authentication required');
  return { mfaToken: refusal.cause.mfa_token, requirements: refusal.cause.mfa_requirements };
}

/** Sends a second factor that the server must refuse with this text. */
async function expectRefusal(factor, description) {
  const refusal = await failure(auth0.mfa.verify(factor));
  assert.equal(refusal.cause?.error, 'invalid_grant', refusal.message);
  assert.equal(refusal.cause.error_description, description);
  assert.equal(refusal.statusCode, 403);
}

/** Lists the authenticators: the app and the recovery code must be there and active. */
async function expectActive(mfaToken) {
  const rows = await auth0.mfa.listAuthenticators({ mfaToken });
  for (const [prefix, type] of [['totp|', 'otp'], ['recovery-code|', 'recovery-code']]) {
    const row = rows.find((r) => r.authenticatorType === type);
    assert.ok(row?.id.startsWith(prefix), `an authenticator of type ${type} is listed`);
    assert.equal(row.active, true, `${row.id} is active`);
    assert.equal(row.type, type);
  }
}

/** Checks the signature of the ID token; the client has checked its claims already. */
async function checkIdToken({ idToken, claims }) {
  assert.ok(idToken, 'an ID token was issued');
  const [header, payload, signature] = idToken.split('.');
  const { alg, kid } = JSON.parse(Buffer.from(header, 'base64url'));
  assert.equal(alg, 'RS256');
  const { keys } = await (await fetch(`https://${domain}/.well-known/jwks.json`)).json();
  const key = createPublicKey({ key: keys.find((k) => k.kid === kid), format: 'jwk' });
  const signed = Buffer.from(`${header}.${payload}`);
  assert.ok(verifySignature('RSA-SHA256', signed, key, Buffer.from(signature, 'base64url')), 'the signature is right');
  return claims;
}

/** What an authenticator app shows at a time in seconds (RFC 6238: SHA-1, 6 digits, 30 s). */
function oneTimePassword(secret, seconds) {
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(seconds / 30)));
  const mac = createHmac('sha1', fromBase32(secret)).update(step).digest();
  const code = mac.readUInt32BE(mac.at(-1) & 15) & 0x7fffffff;
  return String(code % 1_000_000).padStart(6, '0');
}

function fromBase32(text) {
  const bits = [...text].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** The time to compute one-time passwords for, in seconds: OTP_TIME, or the clock. */
function timeNow() {
  return Number(variable('OTP_TIME') ?? Date.now() / 1000);
}

function offers(list, type) {
  return list?.some((factor) => factor.type === type);
}

function shown({ accessToken, idToken, tokenType, expiresAt, scope }) {
  return { accessToken, idToken, tokenType, expiresAt, scope };
}

/** The error of a call that must fail. */
async function failure(call) {
  return call.then(() => assert.fail('this call must fail, and did not'), (error) => error);
}
