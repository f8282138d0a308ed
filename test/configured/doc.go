// Package configured starts a NATS server as a configuration file says, for tests of what is
// printed for such files, and of what servers are asked about themselves.
//
// It owns the server for as long as the test lasts, and knows nothing of what is in the file.
package configured
