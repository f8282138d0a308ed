package console

import (
	"testing"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"aggregate", "agg", "event", "view", "version"}
	for given, want := range map[string]string{
		"agregate":  "aggregate",
		"evnet":     "event", // neighbours swapped
		"veiw":      "view",
		"versions":  "version",
		"ag":        "agg",
		"frobnicte": "",
		"":          "",
		"日本":        "",
	} {
		if got := Nearest(given, names); got != want {
			t.Errorf("nearest to %q is %q, want %q", given, got, want)
		}
	}
}
