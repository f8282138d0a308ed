// Package shared lets two systems serve the same streams, at once, which
// placement avoids and correctness must not depend on, and in turn, while
// partitions move between them.
//
// It owns these tests and nothing else.
package shared
