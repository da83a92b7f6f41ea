# A page of all playbooks, from the comments that they begin with: indented lines are what somebody types or writes, the others are prose.
BEGIN {
  print "# Playbooks\n\nEach runs as it is by its name, on the command line and as a job template."
}
FNR == 1 {
  close_block()
  name = FILENAME
  gsub(/.*\/|\.yml$/, "", name)
  printf "\n## `tokensmith.redhat.%s`\n\n", name
  in_head = 1
  next
}
in_head && !/^#/ {
  in_head = 0
}
in_head {
  line = substr($0, 3)
  if (line ~ /^ /) {
    if (!in_block) {
      print "\n```text"
      in_block = 1
    }
  } else if (line != "") {
    close_block()
  }
  print in_block ? substr(line, 3) : line
}
END {
  close_block()
}
function close_block() {
  if (in_block) {
    print "```\n"
  }
  in_block = 0
}
