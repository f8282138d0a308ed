// Package bank is the small aggregate of the tests that span packages: an
// account that rejects what its balance does not allow, so that a lost or a
// doubled event shows in later answers.
//
// It owns nothing but this domain. It never runs anything and has no part in
// the product.
package bank
