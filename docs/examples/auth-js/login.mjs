// A login with a second factor, played by the official Auth0 client for Node.
//
//   node login.mjs enroll     password, set up an authenticator app, tokens
//   node login.mjs login      password, one-time password, tokens
//   node login.mjs recovery   password, recovery code, tokens and the next recovery code
//   node login.mjs logout     what an access token opens, and its end
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { oneTimePassword } from './authenticator.mjs';
import { asksForMore, connect, failure, offers, person, refused } from './client.mjs';
import { chosen, needed, play, variable } from '../environment.mjs';

const step = chosen({ enroll, login, recovery, logout });
const auth0 = connect();
const user = person();

await play(step);

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

  const otp = oneTimePassword(app.secret);
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

  const otp = oneTimePassword(needed('SECRET'));
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

/** Revokes the access token that another step printed. */
async function logout() {
  const accessToken = needed('ACCESS_TOKEN');
  const claims = await auth0.getUserInfo({ accessToken });
  await auth0.revokeToken({ token: accessToken });
  await auth0.revokeToken({ token: accessToken }); // that it is over already is what the caller wants
  const refusal = await failure(auth0.getUserInfo({ accessToken }));
  assert.equal(refusal.statusCode, 401);
  return { claims };
}

async function recover(recoveryCode, mfaToken) {
  const tokens = await auth0.mfa.verify({ factorType: 'recovery-code', recoveryCode, mfaToken });
  const claims = await checkIdToken(tokens);
  assert.match(tokens.recoveryCode, /^[A-Z0-9]{24}$/, 'a new recovery code comes with the tokens');
  return { recoveryCode: tokens.recoveryCode, ...shown(tokens), claims };
}

/** Sends the password; the server must answer that it wants a second factor. */
async function passwordAsksForMore() {
  return asksForMore(auth0.getTokenByPassword({ ...user, audience: variable('AUDIENCE'), scope: 'openid profile' }));
}

/** Sends a second factor that the server must refuse with this text. */
async function expectRefusal(factor, description) {
  await refused(auth0.mfa.verify(factor), 403, 'invalid_grant', description);
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
  const { keys } = await (await fetch(`https://${needed('DOMAIN')}/.well-known/jwks.json`)).json();
  const key = createPublicKey({ key: keys.find((k) => k.kid === kid), format: 'jwk' });
  const signed = Buffer.from(`${header}.${payload}`);
  assert.ok(verifySignature('RSA-SHA256', signed, key, Buffer.from(signature, 'base64url')), 'the signature is right');
  return claims;
}

function shown({ accessToken, idToken, tokenType, expiresAt, scope }) {
  return { accessToken, idToken, tokenType, expiresAt, scope };
}
