// Package email sends mail: codes to the mailboxes of people who log in, and notices of
// what happened to their accounts.
//
// A mailbox is no second factor by the book (SP 800-63B, 3.1.3.1): its amr is a private
// value that raises no acr, and profiles may refuse codes by mail while notices go on.
package email
