// Package shared lets two systems serve the same streams at once, which
// placement avoids and correctness must not depend on.
//
// It owns that test and nothing else.
package shared
