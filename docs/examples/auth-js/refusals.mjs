// What the gateway refuses while a second factor is asked for, as the official Auth0
// client for Node sees it.
//
//   node refusals.mjs now       what can be refused at once; prints an mfa_token
//   node refusals.mjs expired   that mfa_token, ten minutes later
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import { oneTimePassword } from './authenticator.mjs';
import { asksForMore, connect, person, refused } from './client.mjs';
import { chosen, needed, play } from '../environment.mjs';

const app = { authenticatorTypes: ['otp'] };

const step = chosen({ now, expired });
const auth0 = connect();
const user = person();

await play(step);

/** Everything that is no mfa_token, or not the right one. */
async function now() {
  const { mfaToken } = await asksForMore(auth0.getTokenByPassword({ ...user, scope: 'openid' }));
  await refused(auth0.mfa.enrollAuthenticator({ ...app, mfaToken }), 403, 'access_denied', 'User is already enrolled.');

  const otp = oneTimePassword(needed('SECRET'));
  const other = connect('OTHER_');
  const foreign = 'mfa_token not issued to this client';
  await refused(other.mfa.challengeAuthenticator({ challengeType: 'otp', mfaToken }), 400, 'invalid_request', foreign);
  await refused(other.mfa.verify({ factorType: 'otp', otp, mfaToken }), 400, 'invalid_request', foreign);

  // The same one-time password is good still, for a token that may manage authenticators.
  const audience = `https://${needed('DOMAIN')}/mfa/`;
  const second = await asksForMore(auth0.getTokenByPassword({ ...user, audience }));
  const { accessToken } = await auth0.mfa.verify({ factorType: 'otp', otp, mfaToken: second.mfaToken });
  await auth0.mfa.listAuthenticators({ mfaToken: accessToken });
  for (const none of [accessToken, second.mfaToken, 'garbage']) { // an access token, a used one, none at all
    await refusedInBody(none, otp, 403, 'invalid_grant', 'Malformed mfa_token');
  }
  for (const none of [second.mfaToken, 'garbage']) {
    await refusedAsBearer(none, 'invalid_grant', 'The mfa_token provided is invalid. Try getting a new token.');
  }
  return { mfaToken };
}

/** An mfa_token that nobody used in its ten minutes. */
async function expired() {
  const mfaToken = needed('MFA_TOKEN');
  await refusedInBody(mfaToken, oneTimePassword(needed('SECRET')), 401, 'expired_token', 'mfa_token is expired');
  await refusedAsBearer(mfaToken, 'expired_token', 'mfa_token is expired');
  return { expired: true };
}

async function refusedInBody(mfaToken, otp, ...how) {
  await refused(auth0.mfa.challengeAuthenticator({ challengeType: 'otp', mfaToken }), ...how);
  await refused(auth0.mfa.verify({ factorType: 'otp', otp, mfaToken }), ...how);
}

async function refusedAsBearer(mfaToken, ...how) {
  await refused(auth0.mfa.listAuthenticators({ mfaToken }), 401, ...how);
  await refused(auth0.mfa.enrollAuthenticator({ ...app, mfaToken }), 401, ...how);
}
