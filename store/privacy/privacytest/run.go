package privacytest

import (
	"testing"

	"github.com/annals-go/annals/store/privacy"
)

// Harness opens the key stores that [Run] tries.
type Harness struct {
	// Open returns a key store of its own, empty. It releases what it opened with
	// t.Cleanup. It is called from parallel tests.
	Open func(t *testing.T) Store
}

// Store is one opened key store. Only Keys is required.
type Store struct {
	Keys privacy.Keys
	// Again opens the same key space once more, as another node would. Nil: other nodes
	// share Keys.
	Again func(t *testing.T) privacy.Keys
	// Holds reports whether the bytes are anywhere in what is stored: what a search of
	// the disks would show. Nil: that is not tried, and the case says so.
	Holds func(t *testing.T, secret []byte) bool
}

// testCase is one promise of a key store.
type testCase struct {
	name string
	// why says what is promised; it is printed when the case fails.
	why string
	run func(t *testing.T, s Store)
}

// Run tries every promise of [privacy.Keys], each on a store of its own, in parallel.
func Run(t *testing.T, h Harness) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"records", recordCases},
		{"follow", followCases},
		{"use", useCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			runCases(t, h, g.cases)
		})
	}
}

func runCases(t *testing.T, h Harness, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("what this case is about: %s", c.why)
				}
			})
			c.run(t, h.Open(t))
		})
	}
}
