// Package privacytest is a conformance suite for key stores ([privacy.Keys]): the same
// promises, tried on any of them.
//
// It holds the cases and what they need to be tried. It never looks into a store, nor
// knows how one is made.
package privacytest
