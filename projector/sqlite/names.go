package sqlite

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// pathOf is the file of a model. Names have no underscore, so two models have
// never one file.
func (c Config) pathOf(m projector.Model) string {
	return filepath.Join(c.Dir, c.Namespace+"_"+m.String()+".db")
}

// lockPath is the file that is locked by whoever makes, opens or removes a model.
func (c Config) lockPath() string { return filepath.Join(c.Dir, c.Namespace+".lock") }

// besides are the files that SQLite keeps beside the one at path.
func besides(path string) []string { return []string{path + "-wal", path + "-shm", path + "-journal"} }

// busyWait is how long SQLite waits for another process that holds a lock.
const busyWait = 5 * time.Second

// Connections of different kinds. Double quotes mean names and nothing else, and
// statements cannot reach into the file's structure.
func dsn(path, mode string, settings ...string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	name := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(full), "/")}
	settings = append(settings, "mode="+mode, "_defensive=1", "_dqs=0", "_error_rc=1", fmt.Sprintf("_busy_timeout=%d", busyWait.Milliseconds()))
	name.RawQuery = strings.Join(settings, "&")
	return name.String(), nil
}

// The settings of a writer. Pages gather in the log until there are 16 MiB of
// them: a page that changes again and again is written to the file once.
func (c Config) writing() []string {
	return []string{
		"_txlock=immediate", "_journal_mode=WAL", "_synchronous=FULL", "_foreign_keys=1", "_pragma=wal_autocheckpoint(4096)",
		"_pragma=secure_delete(1)", // what is deleted may have been about a person
		fmt.Sprintf("_pragma=journal_size_limit(%d)", 64<<20),
		fmt.Sprintf("_pragma=cache_size(-%d)", max(c.CacheBytes>>10, 1)),
	}
}

func reading() []string { return []string{"_pragma=cache_size(-8192)"} }

// Limits of what is indexed.
const (
	maxIndexes   = 32
	maxIndexName = 128
)

var memberPath = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

func validateIndexes(members []string) error {
	if len(members) > maxIndexes {
		return &store.TooLargeError{What: "number of indexes", Size: len(members), Limit: maxIndexes}
	}
	for _, m := range members {
		if len(m) > maxIndexName || !memberPath.MatchString(m) {
			return &store.InvalidError{What: "index", Value: m, Reason: "it must be names of letters, digits, hyphens and underscores, joined by dots"}
		}
	}
	return nil
}

// indexOf is the statement that indexes a member that validateIndexes took: it
// has neither quotes nor anything that a path treats in its own way.
func indexOf(member string) string {
	return fmt.Sprintf(`CREATE INDEX IF NOT EXISTS "documents_by_%s" ON documents (json_extract(document, '$.%s'))`, member, member)
}
