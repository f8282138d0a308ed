package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Every scenario must run; what it shows is not a test's business.
func TestScenariosRun(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short leaves out what runs servers")
	}
	t.Parallel()
	for _, s := range scenarios {
		if strings.HasPrefix(s.name, "activate_") || slices.Contains([]string{"replay_view", "personal_load", "personal_snapshot"}, s.name) {
			continue // these write for seconds before they measure
		}
		t.Run(s.name, func(t *testing.T) {
			r, err := s.run(t.Context(), 20*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if r.Ratio <= 0 || r.Annals <= 0 || r.Raw <= 0 || r.RatioLow > r.RatioTop {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	s := scenario{name: "x"}
	r := s.report([]sample{{perSecond: 10}, {perSecond: 30}, {perSecond: 20}}, []sample{{perSecond: 40}, {perSecond: 40}, {perSecond: 10}})
	if r.RatioP50 != 0 {
		t.Fatalf("a ratio of what was not measured: %+v", r)
	}
	if r.Ratio != 0.5 || r.RatioLow != 0.25 || r.RatioTop != 2 {
		t.Fatalf("%+v", r)
	}
	s.latency = true
	r = s.report([]sample{{p50: 3 * time.Millisecond}}, []sample{{p50: time.Millisecond}})
	if r.Ratio != 3 || r.P50 != 3 || r.RatioP50 != 3 {
		t.Fatalf("%+v", r)
	}
}

func TestUnknownBenchmark(t *testing.T) {
	t.Parallel()
	if _, err := choose([]string{"no-such"}); err == nil {
		t.Fatal("no error")
	}
	if chosen, err := choose([]string{"hot_r1", "execute_1_r1"}); err != nil || len(chosen) != 2 || chosen[0].name != "hot_r1" {
		t.Fatal(chosen, err)
	}
}

func TestRefusalsThatPass(t *testing.T) {
	t.Parallel()
	settling := []byte(`{"error":{"code":400,"err_code":10164,"description":"in process"},"stream":"RAW","seq":0}`)
	wrong := []byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 7"},"stream":"RAW","seq":0}`)
	if !notYet(nil) || !notYet(settling) || notYet(wrong) {
		t.Fatal(notYet(nil), notYet(settling), notYet(wrong))
	}
	for data, want := range map[string]uint64{`{"stream":"RAW","seq":42}`: 42, string(settling): 0, string(wrong): 0, "": 0} {
		if got := sequenceOf([]byte(data)); got != want {
			t.Errorf("%s: %d, want %d", data, got, want)
		}
	}
}
