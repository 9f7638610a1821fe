// Package webhook tells the operator's own systems of events, by HTTP requests that they can check.
//
// # Purpose
//
// A system that cannot keep a stream open is told of the same events as one that watches: each is posted to the addresses that the
// operator configured, signed by the Standard Webhooks convention (https://www.standardwebhooks.com), until it is taken.
//
// # Contract
//
//   - Each endpoint is told in order, for itself: one that is down holds up no other, and nothing is kept in memory for it.
//   - What is told next is kept in a file before the next event is looked at. After a restart or a crash an event may be told
//     again, with the same webhook-id, and none is left out.
//   - An event that is not taken for [GiveUpAfter] becomes a dead letter, a file that an operator lists and sends again. With
//     maxDeadLetters of them the endpoint waits instead.
//   - Any answer 2xx is one that takes the event. No redirect is followed, and of the answer at most maxAnswerBytes are read.
//
// # Trust
//
// Addresses, secrets and filters are the operator's, from files; no address of a request or a statement is ever called. An address can
// be a secret by itself: it is in no log line and in no error. The receiver is not trusted with anything but the event, which is
// public.
package webhook
