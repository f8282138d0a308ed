// Package history reads the history of loan applications from an XES file, the
// exchange format for event logs, turns it into commands, and makes up such
// histories for those who have no file.
//
// It owns the mapping between the names in the file (A_SUBMITTED, O_SENT, …)
// and the domain's commands, and the command ids that make a second import of
// the same file store nothing. It sends nothing, and decides nothing: what the
// file says is what it passes on.
//
//	for trace, err := range history.Read(file) {
//		…
//		for i, e := range trace.Events {
//			command, err := trace.Command(i)
//			send(trace.Application, trace.CommandID(i), command)
//		}
//	}
package history
