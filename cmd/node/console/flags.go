package console

import (
	"log/slog"

	"github.com/spf13/pflag"
)

// flags are those that say how to talk.
type flags struct {
	json                    bool
	jq                      string
	noColor, verbose, quiet bool
	logLevel                string
}

const defaultLogLevel = "info"

// AddFlags adds the flags that say how to talk: --json, --jq, --no-color,
// --verbose, --quiet and --log-level.
func AddFlags(c *Console, set *pflag.FlagSet) {
	f := &c.flags
	set.BoolVar(&f.json, "json", false, "print data as JSON, one object a line")
	set.StringVar(&f.jq, "jq", "", "filter the JSON data with this jq `EXPR`ession")
	set.BoolVar(&f.noColor, "no-color", false, "print without colours")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "log everything (--log-level debug)")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "log errors only, and draw no progress")
	set.StringVar(&f.logLevel, "log-level", defaultLogLevel, "log from this `LEVEL` on: debug, info, warn, error")
}

// Prepare makes of the flags what they say: the logger, which shows values as
// attr has them (nil: as they are), and the filter. The error is a [*Failure].
func Prepare(c *Console, attr func(groups []string, a slog.Attr) slog.Attr) error {
	level, err := c.level()
	if err != nil {
		return err
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: attr}
	if IsTerminal(c.Err()) {
		c.logger = slog.New(slog.NewTextHandler(c.Err(), options))
	} else {
		c.logger = slog.New(slog.NewJSONHandler(c.Err(), options))
	}
	c.filter, err = compileFilter(c.flags.jq)
	return err
}

func (c *Console) level() (slog.Level, error) {
	var level slog.Level
	switch {
	case c.flags.verbose && c.flags.quiet:
		return 0, Usage("--verbose and --quiet exclude each other")
	case c.flags.verbose:
		return slog.LevelDebug, nil
	case c.flags.quiet:
		return slog.LevelError, nil
	}
	if err := level.UnmarshalText([]byte(c.flags.logLevel)); err != nil {
		return 0, Usage("--log-level %q: want debug, info, warn or error", c.flags.logLevel)
	}
	return level, nil
}
