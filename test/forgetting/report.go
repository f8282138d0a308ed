package main

import (
	"errors"
	"fmt"
)

// report is the run's last line.
type report struct {
	// Forgets are forgettings with a receipt, Asked how often a node was asked for one, and
	// AtOnce in how many rounds several nodes were asked at the same time.
	Forgets int `json:"forgets"`
	Asked   int `json:"asked"`
	AtOnce  int `json:"at_once"`
	// Kills are nodes that were killed while somebody was forgotten: at a step, by which one,
	// or at a moment that the seed chose, the node that was asked or another.
	Kills  int            `json:"kills"`
	Steps  map[string]int `json:"steps"`
	Random map[string]int `json:"random"`
	// Resumed were finished by the nodes with nobody asking again, Continued because somebody
	// asked again.
	Resumed   int `json:"resumed"`
	Continued int `json:"continued"`
	// Readable are texts of the forgotten that the reader found, each once for each source.
	Readable int `json:"readable"`
	// Stuck are forgettings without a receipt, views that did not catch up, differ from the
	// log or cannot be built again, and streams that take no command any more.
	Stuck int `json:"stuck"`
	// SeenBefore are the rounds whose person the reader saw before, and SeenAgain those whose
	// person came back under another key and was read.
	SeenBefore int `json:"seen_before"`
	SeenAgain  int `json:"seen_again"`
	// ControlReadable are the others in whom the reader found texts at the end, of Controls;
	// ControlSources in how many of them, by source.
	Controls        int            `json:"controls"`
	ControlReadable int            `json:"control_readable"`
	ControlSources  map[string]int `json:"control_sources"`
	// Looks is how often the reader read everything about a person.
	Looks int `json:"looks"`

	Commands       int64   `json:"commands"`
	CommandsFailed int64   `json:"commands_failed"` // without an answer, while nodes were gone
	Rebuilds       int     `json:"rebuilds"`
	InPlace        int     `json:"rebuilds_in_place"`
	Parity         uint64  `json:"parity_differences"`
	Snapshots      uint64  `json:"snapshots"`
	Letters        int     `json:"letters"` // persons who were read in a dead letter before they were forgotten
	ForgetMaxS     float64 `json:"forget_max_s"`
	Seconds        float64 `json:"seconds"`
	Seed           uint64  `json:"seed"`
}

// What a run has to have in it.
const (
	minForgets  = 12
	minKills    = 12
	minCommands = 500
	minRebuilds = 4
	minRandom   = 2
	minSeen     = 4
)

// errInvalid says that a run proves nothing.
var errInvalid = errors.New("INVALID")

// verdict says everything that the run falls short of; nil if nothing.
func (r *report) verdict(moments, sources []string) error {
	var short []error
	note := func(wrong bool, format string, v ...any) {
		if wrong {
			short = append(short, fmt.Errorf(format, v...))
		}
	}
	invalid := func(wrong bool, format string, v ...any) {
		note(wrong, "%w: "+format, append([]any{errInvalid}, v...)...)
	}
	note(r.Readable > 0, "%d times a text of somebody forgotten was read", r.Readable)
	note(r.Stuck > 0, "%d forgettings, views or streams are stuck", r.Stuck)
	note(r.Parity > 0, "%d documents of views that were built again differ", r.Parity)
	note(r.ControlReadable < r.Controls, "%d of %d who were not forgotten can be read", r.ControlReadable, r.Controls)
	invalid(r.Forgets < minForgets || r.AtOnce == 0, "%d forgettings, %d of them asked for on several nodes at once", r.Forgets, r.AtOnce)
	invalid(r.Kills < minKills, "only %d nodes were killed", r.Kills)
	for _, m := range moments {
		invalid(r.Steps[m] == 0, "no node was killed %s", m)
	}
	for _, kind := range []string{"asked", "other"} {
		invalid(r.Random[kind] < minRandom, "%d kills of the node that was %s at any moment", r.Random[kind], kind)
	}
	invalid(r.Resumed == 0 || r.Continued == 0, "%d were finished by the nodes alone, %d by asking again", r.Resumed, r.Continued)
	invalid(r.SeenBefore < r.Forgets, "the reader saw %d of %d before", r.SeenBefore, r.Forgets)
	invalid(r.SeenAgain < minSeen, "%d came back", r.SeenAgain)
	invalid(r.Controls == 0, "there is nobody to be read")
	for _, s := range sources {
		invalid(r.ControlSources[s] == 0, "the reader found nothing in the source %s", s)
	}
	invalid(r.Commands < minCommands, "only %d commands", r.Commands)
	invalid(r.Rebuilds < minRebuilds || r.InPlace < minRebuilds, "only %d rebuilds beside the live view and %d in place", r.Rebuilds, r.InPlace)
	invalid(r.Snapshots == 0 || r.Letters == 0, "%d snapshots, %d persons in dead letters before", r.Snapshots, r.Letters)
	return errors.Join(short...)
}
