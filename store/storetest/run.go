package storetest

import "testing"

// testCase is one promise of a store.
type testCase struct {
	name string
	// why says what is promised; it is printed when the case fails.
	why string
	run func(t *testing.T, s Store)
}

// Run tries every promise of [store.Log], and of [store.Snapshots] if the
// stores have them, each on a store of its own, in parallel.
func Run(t *testing.T, h Harness) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"append", appendCases},
		{"rivals", rivalCases},
		{"faults", faultCases},
		{"read", readCases},
		{"damage", damageCases},
		{"ids", idCases},
		{"tip", tipCases},
		{"follow", followCases},
		{"truncate", truncateCases},
		{"snapshots", snapshotCases},
		{"past snapshots", pastCases},
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
