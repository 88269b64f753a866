"""The evidence pack of one period and company: everything an auditor asks for, checkable without this program."""
