// People manage their own authenticators, with an access token that was made for that:
// password and one-time password for the /mfa/ audience. Played by the official Auth0
// client for Node, which calls this token, too, mfaToken.
//
//   node manage.mjs look      a token that may look, and nothing else
//   node manage.mjs add       a second authenticator app, confirmed with the token itself
//   node manage.mjs remove    takes an authenticator away
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { oneTimePassword } from './authenticator.mjs';
import { asksForMore, connect, person, refused } from './client.mjs';
import { chosen, needed, play } from '../environment.mjs';

const app = { authenticatorTypes: ['otp'] };
const nobodys = 'totp|dev_0000000000000000';

const step = chosen({ look, add, remove });
const auth0 = connect();
const user = person();

await play(step);

/** Lists, with a token that may do nothing else. */
async function look() {
  const mfaToken = await tokenFor('read:authenticators');
  const rows = await auth0.mfa.listAuthenticators({ mfaToken });
  await cannot(auth0.mfa.enrollAuthenticator({ ...app, mfaToken }), 'enroll');
  await cannot(auth0.mfa.deleteAuthenticator({ authenticatorId: nobodys, mfaToken }), 'remove:authenticators');
  return { rows };
}

/** Adds a second authenticator app, with a token that may do nothing else. */
async function add() {
  const mfaToken = await tokenFor('enroll');
  await cannot(auth0.mfa.listAuthenticators({ mfaToken }), 'read:authenticators');
  await cannot(auth0.mfa.deleteAuthenticator({ authenticatorId: nobodys, mfaToken }), 'remove:authenticators');

  const second = await auth0.mfa.enrollAuthenticator({ ...app, mfaToken });
  assert.equal(second.recoveryCodes, undefined, 'recovery codes come with the first factor only');
  const otp = oneTimePassword(second.secret);
  const confirmed = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken });
  assert.equal(confirmed.scope, 'enroll', 'a confirmation widens nothing');
  assert.equal(confirmed.refreshToken, undefined);
  // The access token confirms what was enrolled with it, and logs nobody in.
  await refused(auth0.mfa.verify({ factorType: 'otp', otp, mfaToken }), 403, 'invalid_grant', 'Malformed mfa_token');
  return { authenticatorId: second.id, secret: second.secret };
}

/** Removes an authenticator, which is gone then, and with a phone both ways to use it. */
async function remove() {
  const authenticatorId = needed('AUTHENTICATOR_ID');
  const mfaToken = await tokenFor('read:authenticators remove:authenticators');
  const before = await auth0.mfa.listAuthenticators({ mfaToken });
  assert.ok(before.some((row) => row.id === authenticatorId && row.active), 'it is there');
  await cannot(auth0.mfa.enrollAuthenticator({ ...app, mfaToken }), 'enroll');

  await auth0.mfa.deleteAuthenticator({ authenticatorId, mfaToken });
  const removed = before.filter((row) => device(row.id) === device(authenticatorId));
  for (const gone of [...removed.map((row) => row.id), nobodys]) {
    await refused(auth0.mfa.deleteAuthenticator({ authenticatorId: gone, mfaToken }),
      404, 'invalid_authenticator', 'Authenticator not found');
  }
  const rows = await auth0.mfa.listAuthenticators({ mfaToken });
  assert.deepEqual(rows, before.filter((row) => !removed.includes(row)), 'and all others are there still');
  return { rows };
}

/** What the push and the one-time password of a phone have in common. */
function device(id) {
  return id.split('|')[1];
}

/** An access token for the /mfa/ audience, by password and one-time password. */
async function tokenFor(scope) {
  const audience = `https://${needed('DOMAIN')}/mfa/`;
  const { mfaToken } = await asksForMore(auth0.getTokenByPassword({ ...user, audience, scope }));
  const tokens = await auth0.mfa.verify({ factorType: 'otp', otp: oneTimePassword(needed('SECRET')), mfaToken });
  assert.equal(tokens.scope, scope);
  return tokens.accessToken;
}

/** A call that the token's scopes do not allow. */
async function cannot(call, scope) {
  await refused(call, 403, 'insufficient_scope', `Insufficient scope, expected: ${scope}`);
}
