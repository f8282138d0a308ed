// Package house holds the rules of this repository as tests: who may import
// whom, what stands at the top level, what each package says about itself, and
// the habits of the code.
//
// It owns the rules and nothing else. It never builds or runs the code that it
// reads, except for the Go blocks of the README, which it has checked by go
// vet; so it needs nothing but Go and takes seconds.
//
//	go test ./test/house
package house
