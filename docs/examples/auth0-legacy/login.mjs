// A login at a realm with the older official Auth0 client for Node (auth0/legacy). It
// fetches the gateway's keys by itself and verifies the ID token with them.
//
//   node login.mjs tokens    password, tokens, userinfo, a refresh, revocation
//   node login.mjs asked     the same for somebody who has a second factor
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { AuthApiError, AuthenticationClient, UserInfoClient } from 'auth0/legacy';
import { chosen, needed, play } from '../environment.mjs';

const step = chosen({ tokens, asked });
const domain = needed('DOMAIN');
const realm = 'Username-Password-Authentication';
const user = { username: needed('USERNAME'), password: needed('PASSWORD'), scope: 'openid profile offline_access' };
const { oauth } = new AuthenticationClient({
  domain, clientId: needed('CLIENT_ID'), clientSecret: needed('CLIENT_SECRET'),
});

await play(step);

/** Logs in; what comes back has been verified, signature and claims. */
async function tokens() {
  await refused(oauth.passwordGrant({ ...user, realm, password: 'not this one' }),
    403, 'invalid_grant', 'Wrong email or password.');
  await refused(oauth.passwordGrant({ ...user, realm: 'employees' }), 400, 'invalid_request');

  const { data } = await oauth.passwordGrant({ ...user, realm });
  assert.equal(data.token_type, 'Bearer');
  assert.ok(data.id_token, 'an ID token was issued');
  const { data: claims } = await new UserInfoClient({ domain }).getUserInfo(data.access_token);

  const { data: next } = await oauth.refreshTokenGrant({ refresh_token: data.refresh_token });
  assert.ok(next.id_token && next.refresh_token, 'a refresh gives an ID token, too, and the next refresh token');
  await oauth.revokeRefreshToken({ token: next.refresh_token });
  await refused(oauth.refreshTokenGrant({ refresh_token: next.refresh_token }),
    403, 'invalid_grant', 'Unknown or invalid refresh token.');
  return { idToken: data.id_token, claims };
}

/** This library knows nothing of second factors, but it hands over what the gateway says. */
async function asked() {
  const refusal = await refused(oauth.passwordGrant({ ...user, realm }),
    403, 'mfa_required', 'Multifactor authentication required');
  const { mfa_token: mfaToken, mfa_requirements: requirements } = JSON.parse(refusal.body);
  assert.ok(mfaToken);
  return { mfaToken, requirements };
}

/** The error of a call that must be refused with this status and code, and with this text if one is given. */
async function refused(call, status, code, description) {
  const refusal = await call.then(() => assert.fail('this call must fail, and did not'), (error) => error);
  if (!(refusal instanceof AuthApiError)) throw refusal;
  assert.equal(refusal.error, code);
  assert.equal(refusal.statusCode, status);
  assert.equal(refusal.error_description, description ?? refusal.error_description);
  return refusal;
}
