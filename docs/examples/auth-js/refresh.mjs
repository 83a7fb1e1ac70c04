// A session that began with a password alone and is refreshed after its user has set up
// a second factor, played by the official Auth0 client for Node.
//
//   node refresh.mjs login      password, tokens, a first refresh; prints the refresh token
//   node refresh.mjs refresh    that refresh token, then a one-time password
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { oneTimePassword } from './authenticator.mjs';
import { asksForMore, connect, offers, person, refused } from './client.mjs';
import { chosen, needed, play, variable } from '../environment.mjs';

const step = chosen({ login, refresh });
const auth0 = connect();

await play(step);

/** Logs a user in who has no second factor yet. */
async function login() {
  const first = await auth0.getTokenByPassword({
    ...person(), audience: variable('AUDIENCE'), scope: 'openid offline_access',
  });
  const second = await auth0.getTokenByRefreshToken({ refreshToken: first.refreshToken });
  assert.notEqual(second.refreshToken, first.refreshToken, 'each use of a refresh token gives the next one');
  assert.equal(second.claims.sub, first.claims.sub);
  return { refreshToken: second.refreshToken };
}

/** Refreshes what `login` began, now that the user has an authenticator app. */
async function refresh() {
  const old = needed('REFRESH_TOKEN');
  await asksForMore(auth0.getTokenByRefreshToken({ refreshToken: old }));
  // Until the second factor is there the old refresh token stays as it was.
  const { mfaToken, requirements } = await asksForMore(auth0.getTokenByRefreshToken({ refreshToken: old }));
  assert.ok(offers(requirements.challenge, 'otp'), 'a one-time password is asked for');

  const otp = oneTimePassword(needed('SECRET'));
  const tokens = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken });
  assert.ok(tokens.idToken, 'an ID token was issued');
  assert.ok(tokens.refreshToken && tokens.refreshToken !== old, 'and the successor of the refresh token');

  // The session has its second factor now; nobody is asked again.
  const next = await auth0.getTokenByRefreshToken({ refreshToken: tokens.refreshToken });
  // Who still uses the old token may have stolen it: it is dead, and it ends the session.
  const dead = [403, 'invalid_grant', 'Unknown or invalid refresh token.'];
  await refused(auth0.getTokenByRefreshToken({ refreshToken: old }), ...dead);
  await refused(auth0.getTokenByRefreshToken({ refreshToken: next.refreshToken }), ...dead);
  return { claims: tokens.claims };
}
