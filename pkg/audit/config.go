package audit

// Config says what is done without a record.
type Config struct {
	Required bool `yaml:"required" default:"on" doc:"What cannot be recorded does not happen: no token, no change. Off: it happens, and the log tells of the lost record."`
}
