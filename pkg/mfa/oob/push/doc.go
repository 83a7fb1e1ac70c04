// Package push asks a person's device to decide about a login.
//
// The device runs an app that was built with a Guardian SDK. What goes to it says where the
// login comes from, and carries a token to answer with, but no code, number or seed, because
// a locked screen shows it (SP 800-63B, 3.1.3.1). That is a [Message]; the [Senders] carry it
// over Firebase Cloud Messaging and the Apple Push Notification service.
package push
