package console

import (
	"testing"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"application/42": "application/42",
		"żółw 日本 🐢":      "żółw 日本 🐢",
		"a\x1b[31mred":   `a\u001b[31mred`,
		"two\nlines":     `two\u000alines`,
		"c1\u009b31m":    `c1\u009b31m`,
		"turned\u202eup": `turned\u202eup`,
	} {
		if got := Printable(given); got != want {
			t.Errorf("%q is printed as %q, want %q", given, got, want)
		}
	}
}

func TestStyle(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		env     map[string]string
		noColor bool
		want    bool
	}{
		{want: false}, // a buffer is no terminal
		{env: map[string]string{"CLICOLOR_FORCE": "1"}, want: true},
		{env: map[string]string{"CLICOLOR_FORCE": "0"}, want: false},
		{env: map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, want: false},
		{env: map[string]string{"CLICOLOR_FORCE": "1"}, noColor: true, want: false},
	} {
		c, out, _ := testConsole(test.env)
		c.flags.noColor = test.noColor
		if got := bool(c.Style(out)); got != test.want {
			t.Errorf("%v, --no-color=%v: colours %v", test.env, test.noColor, got)
		}
	}
}
