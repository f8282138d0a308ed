// Package privacy keeps personal data so that a person can be forgotten: what is
// marked personal is encrypted under a key of the person's own before it is stored,
// and to forget is to erase the key.
//
// It owns the keys, the sealed form of values, and the steps of forgetting. It never
// decides what is personal, which the types say, and never stores a value itself.
package privacy
