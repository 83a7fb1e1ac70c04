// A confidential client that proves itself by a key instead of a secret, played by the
// official Auth0 client for Node: a token for itself, then a login with a second factor.
//
//   node machine.mjs
//
// It prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the environment it takes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AuthClient, isMfaRequiredError } from '@auth0/auth0-auth-js';

const { DOMAIN, CLIENT_ID, CLIENT_KEY, USERNAME, PASSWORD, AUDIENCE, OTP } = process.env;

const auth0 = new AuthClient({
  domain: DOMAIN, clientId: CLIENT_ID, clientAssertionSigningKey: readFileSync(CLIENT_KEY, 'utf8'), // RS256
});

// Nobody is logged in, so there is neither an ID token nor a refresh token.
const own = await auth0.getTokenByClientCredentials({ audience: AUDIENCE });
assert.equal(own.idToken, undefined);
assert.equal(own.refreshToken, undefined);

const refusal = await auth0.getTokenByPassword({ username: USERNAME, password: PASSWORD, scope: 'openid' })
  .then(() => assert.fail('a second factor is asked for'), (error) => error);
if (!isMfaRequiredError(refusal)) throw refusal;
const mfaToken = refusal.cause.mfa_token;

// The library sends no assertion with a challenge: the mfa_token is the client's.
const { challengeType } = await auth0.mfa.challengeAuthenticator({ challengeType: 'otp', mfaToken });
assert.equal(challengeType, 'otp');
const user = await auth0.mfa.verify({ factorType: 'otp', otp: OTP, mfaToken });
assert.ok(user.idToken, 'an ID token was issued');

console.log(JSON.stringify({ own: own.accessToken, user: user.accessToken }));
