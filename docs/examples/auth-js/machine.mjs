// A confidential client that proves itself by a key instead of a secret, played by the
// official Auth0 client for Node: a token for itself, then a login with a second factor.
//
//   node machine.mjs
//
// It prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables it takes, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AuthClient, isMfaRequiredError } from '@auth0/auth0-auth-js';
import { needed, play } from '../environment.mjs';

const audience = needed('AUDIENCE');
const person = { username: needed('USERNAME'), password: needed('PASSWORD') };
const otp = needed('OTP');

await play(machine);

async function machine() {
  const auth0 = new AuthClient({
    domain: needed('DOMAIN'), clientId: needed('CLIENT_ID'),
    clientAssertionSigningKey: readFileSync(needed('CLIENT_KEY'), 'utf8'), // RS256
  });

  // Nobody is logged in, so there is neither an ID token nor a refresh token.
  const own = await auth0.getTokenByClientCredentials({ audience });
  assert.equal(own.idToken, undefined);
  assert.equal(own.refreshToken, undefined);

  const refusal = await auth0.getTokenByPassword({ ...person, scope: 'openid' })
    .then(() => assert.fail('a second factor is asked for'), (error) => error);
  if (!isMfaRequiredError(refusal)) throw refusal;
  const mfaToken = refusal.cause.mfa_token;

  // The library sends no assertion with a challenge: the mfa_token is the client's.
  const { challengeType } = await auth0.mfa.challengeAuthenticator({ challengeType: 'otp', mfaToken });
  assert.equal(challengeType, 'otp');
  const user = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken });
  assert.ok(user.idToken, 'an ID token was issued');

  return { own: own.accessToken, user: user.accessToken };
}
