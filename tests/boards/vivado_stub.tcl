# SPDX-License-Identifier: Apache-2.0
# Vivado, as far as build.tcl uses it: each command checks its options, that files exist, that a net joins pins of one
# kind and a bus interfaces of one protocol and width, and that every window of registers has an address.
#
#   tclsh vivado_stub.tcl build.tcl    STUB_SLACK: the worst slack, STUB_BOARDS: board parts that are known

namespace eval S {variable cells {} nets {} buses {} windows {} files {} tops {}}  ;# apart from the script's own
set ::S::slack [expr {[info exists ::env(STUB_SLACK)] ? $::env(STUB_SLACK) : 0.5}]

proc fail {text} { puts stderr "stub: $text"; exit 9 }

# Take options from args: names of flags, names of options with a value. What is left is returned.
proc options {command flags valued args} {
  set rest {}
  for {set i 0} {$i < [llength $args]} {incr i} {
    set word [lindex $args $i]
    if {$word in $flags} continue
    if {$word in $valued} { incr i; set ::S::given($word) [lindex $args $i]; continue }
    if {[string match -* $word] && ![string is double $word]} { fail "$command has no option $word" }
    lappend rest $word
  }
  return $rest
}

# Pins and interfaces of the cores: {name direction kind}, {name mode protocol width}.
array set ::S::pins_of {
  xilinx.com:ip:processing_system7 {{FCLK_CLK0 out clk} {FCLK_RESET0_N out rst} {M_AXI_GP0_ACLK in clk} {S_AXI_HP0_ACLK in clk}}
  xilinx.com:ip:zynq_ultra_ps_e {{pl_clk0 out clk} {pl_resetn0 out rst} {maxihpm0_fpd_aclk in clk} {saxihp0_fpd_aclk in clk}}
  xilinx.com:ip:proc_sys_reset {{slowest_sync_clk in clk} {ext_reset_in in rst} {peripheral_aresetn out rst} {interconnect_aresetn out rst}}
  xilinx.com:ip:axi_dma {{s_axi_lite_aclk in clk} {m_axi_mm2s_aclk in clk} {m_axi_s2mm_aclk in clk} {axi_resetn in rst}}
  xilinx.com:ip:smartconnect {{aclk in clk} {aresetn in rst}}
}
array set ::S::keys_of {
  xilinx.com:ip:processing_system7 {PCW_FPGA0_PERIPHERAL_FREQMHZ PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0 PCW_S_AXI_HP0_DATA_WIDTH}
  xilinx.com:ip:zynq_ultra_ps_e {PSU__FPGA_PL0_ENABLE PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1 PSU__USE__M_AXI_GP2 PSU__USE__S_AXI_GP2 PSU__SAXIGP2__DATA_WIDTH}
  xilinx.com:ip:proc_sys_reset {}
  xilinx.com:ip:axi_dma {c_include_sg c_sg_length_width c_m_axi_mm2s_data_width c_m_axis_mm2s_tdata_width c_m_axi_s2mm_data_width c_mm2s_burst_size c_s2mm_burst_size}
  xilinx.com:ip:smartconnect {NUM_SI NUM_MI}
}

proc interfaces_of {cell} {
  set core $::S::core_of($cell)
  proc config {cell key default} { expr {[info exists ::S::config($cell,$key)] ? $::S::config($cell,$key) : $default} }
  switch -- $core {
    xilinx.com:ip:processing_system7 {
      set found {}
      if {[config $cell PCW_USE_M_AXI_GP0 0]} { lappend found {M_AXI_GP0 master aximm 32} }
      if {[config $cell PCW_USE_S_AXI_HP0 0]} { lappend found {S_AXI_HP0 slave aximm 64} }
      return $found
    }
    xilinx.com:ip:zynq_ultra_ps_e {
      set found {}
      if {[config $cell PSU__USE__M_AXI_GP0 0]} { lappend found {M_AXI_HPM0_FPD master aximm 128} }
      if {[config $cell PSU__USE__S_AXI_GP2 0]} { lappend found {S_AXI_HP0_FPD slave aximm 128} }
      return $found
    }
    xilinx.com:ip:axi_dma {
      set width [config $cell c_m_axis_mm2s_tdata_width 32]
      return [list {S_AXI_LITE slave aximm 32} {M_AXI_MM2S master aximm 0} {M_AXI_S2MM master aximm 0} \
        [list M_AXIS_MM2S master axis $width] [list S_AXIS_S2MM slave axis $width]]
    }
    xilinx.com:ip:smartconnect {
      set found {}
      for {set i 0} {$i < [config $cell NUM_SI 1]} {incr i} { lappend found [list [format S%02d_AXI $i] slave aximm 0] }
      for {set i 0} {$i < [config $cell NUM_MI 1]} {incr i} { lappend found [list [format M%02d_AXI $i] master aximm 0] }
      return $found
    }
    default { return [expr {[info exists ::S::packaged($core)] ? $::S::packaged($core) : {}}] }
  }
}

proc create_project {args} {
  set rest [options create_project {-force} {-part} {*}$args]
  if {[llength $rest] != 2} { fail "create_project takes a name and a folder" }
  set ::S::files {}
  file mkdir [lindex $rest 1]
  set ::S::project [lindex $rest 1]
}
proc close_project {} {}
proc add_files {file} {
  if {![file exists $file]} { fail "add_files: $file does not exist" }
  lappend ::S::files $file
}
proc current_fileset {} { return fileset }
proc current_project {} { return project }
proc update_compile_order {args} { options update_compile_order {} {-fileset} {*}$args }
proc update_ip_catalog {} {}
proc get_board_parts {args} {
  set known [expr {[info exists ::env(STUB_BOARDS)] ? $::env(STUB_BOARDS) : {}}]
  return [lsearch -all -inline -glob $known [options get_board_parts {-quiet} {} {*}$args]]
}
proc get_ipdefs {args} {
  set pattern [lindex [options get_ipdefs {-all} {} {*}$args] 0]
  set known {}
  foreach core [array names ::S::pins_of] { lappend known $core:1.0 }
  return [lsearch -all -inline -glob $known $pattern]
}

# The package: interfaces are inferred from the port names of the top, which must be Verilog.
namespace eval ipx {
  proc package_project {args} {
    options ipx::package_project {-import_files -force} {-root_dir -vendor -library -taxonomy} {*}$args
    set top [lindex $::S::tops end]
    set source [lsearch -inline -glob $::S::files */$top.v]
    if {$source eq ""} { fail "ipx::package_project: no Verilog file holds the top $top" }
    set handle [open $source]; set text [read $handle]; close $handle
    foreach file $::S::files {
      if {[file extension $file] eq ".mem"} continue
      set read [open $file]; append all [read $read]; close $read
    }
    foreach {whole memory} [regexp -all -inline {File\("([^"]+\.mem)"\)} $all] {
      if {[lsearch -glob $::S::files */$memory] < 0} { fail "the memory file $memory is not among the sources" }
    }
    set found {}
    foreach {prefix mode protocol} {s_axi slave aximm s_axis slave axis m_axis master axis} {
      set data [expr {$protocol eq "aximm" ? "${prefix}_wdata" : "${prefix}_tdata"}]
      if {![regexp "\\\[(\\d+):0\\\] $data\\M" $text whole high]} { fail "the top $top has no port $data" }
      lappend found [list $prefix $mode $protocol [expr {$high + 1}]]
    }
    foreach port {aclk aresetn} {
      if {![regexp "input +wire $port\\M" $text]} { fail "the top $top has no input $port" }
    }
    set core $::S::given(-vendor):$::S::given(-library):$top
    set ::S::packaged($core) $found
    set ::S::pins_of($core) {{aclk in clk} {aresetn in rst}}
    set ::S::keys_of($core) {}
  }
  proc current_core {} { return core }
  proc create_xgui_files {core} {}
  proc update_checksums {core} {}
  proc save_core {core} {}
}

proc set_property {args} {
  if {[lindex $args 0] eq "-dict"} {
    lassign $args _ pairs cell
    foreach {key value} $pairs {
      set key [string map {CONFIG. ""} $key]
      if {$key ni $::S::keys_of($::S::core_of($cell))} { fail "set_property: $::S::core_of($cell) has no $key" }
      set ::S::config($cell,$key) $value
    }
    return
  }
  lassign $args key value object
  if {$key ni {top board_part ip_repo_paths name version}} { fail "set_property: $key is not known" }
  if {$key eq "top"} { lappend ::S::tops $value }
  if {$key eq "ip_repo_paths" && ![array size ::S::packaged]} { fail "no core was packaged into $value" }
}

proc create_bd_design {name} { set ::S::design $name }
proc create_bd_cell {args} {
  set name [options create_bd_cell {} {-type -vlnv} {*}$args]
  if {$name in $::S::cells} { fail "create_bd_cell: $name is there twice" }
  lappend ::S::cells $name
  set ::S::core_of($name) [join [lrange [split $::S::given(-vlnv) :] 0 2] :]
  if {![info exists ::S::pins_of($::S::core_of($name))]} { fail "create_bd_cell: no core $::S::given(-vlnv)" }
}
proc get_bd_cells {name} {
  if {$name ni $::S::cells} { fail "no cell $name" }
  return $name
}
proc apply_bd_automation {args} {
  set cell [options apply_bd_automation {} {-rule -config} {*}$args]
  if {[llength $::S::given(-config)] % 2} { fail "apply_bd_automation: -config is no list of pairs: $::S::given(-config)" }
  if {$::S::given(-rule) ne [string map {:ip: :bd_rule:} $::S::core_of($cell)]} { fail "the rule $::S::given(-rule) is not for $cell" }
}

proc part {kind path list} {
  lassign [split $path /] cell name
  if {$cell ni $::S::cells} { fail "$kind $path: no cell $cell" }
  set found [lsearch -inline -index 0 $list $name]
  if {$found eq ""} { fail "$kind $path: $cell ($::S::core_of($cell)) has only [lmap entry $list {lindex $entry 0}]" }
  return $found
}
proc get_bd_pins {path} { part pin $path $::S::pins_of($::S::core_of([lindex [split $path /] 0])); return $path }
proc get_bd_intf_pins {path} { part interface $path [interfaces_of [lindex [split $path /] 0]]; return $path }
proc pin {path} { part pin $path $::S::pins_of($::S::core_of([lindex [split $path /] 0])) }
proc intf {path} { part interface $path [interfaces_of [lindex [split $path /] 0]] }

proc connect_bd_net {driver args} {
  if {[lindex [pin $driver] 1] ne "out"} { fail "connect_bd_net: $driver drives nothing" }
  foreach path $args {
    lassign [pin $path] _ direction kind
    if {$direction ne "in"} { fail "connect_bd_net: $path is driven by $driver and drives" }
    if {$kind ne [lindex [pin $driver] 2]} { fail "connect_bd_net: $driver and $path are not of one kind" }
    if {[dict exists $::S::nets $path]} { fail "connect_bd_net: $path is driven twice" }
    dict set ::S::nets $path $driver
  }
}
proc connect_bd_intf_net {a b} {
  lassign [intf $a] _ mode_a protocol_a width_a
  lassign [intf $b] _ mode_b protocol_b width_b
  if {$mode_a ne "master" || $mode_b ne "slave"} { fail "connect_bd_intf_net: $a is $mode_a, $b is $mode_b" }
  if {$protocol_a ne $protocol_b} { fail "connect_bd_intf_net: $a is $protocol_a, $b is $protocol_b" }
  if {$protocol_a eq "axis" && $width_a != $width_b} { fail "connect_bd_intf_net: $a has $width_a bits, $b $width_b" }
  foreach path [list $a $b] {
    if {[dict exists $::S::buses $path]} { fail "connect_bd_intf_net: $path is joined twice" }
  }
  dict set ::S::buses $a $b
  dict set ::S::buses $b $a
}
proc get_bd_addr_spaces {path} { return $path }
proc get_bd_addr_segs {path} {
  lassign [split $path /] cell interface segment
  intf $cell/$interface
  return $path
}
proc assign_bd_address {args} {
  array unset ::S::given
  set segment [options assign_bd_address {} {-offset -range -target_address_space} {*}$args]
  if {$segment eq ""} return
  set offset $::S::given(-offset); set range $::S::given(-range)
  if {$range & ($range - 1) || $offset % $range} { fail "assign_bd_address: $segment at $offset is not aligned to $range" }
  dict for {other window} $::S::windows {
    lassign $window from size
    if {$offset < $from + $size && $from < $offset + $range} { fail "assign_bd_address: $segment overlaps $other" }
  }
  dict set ::S::windows $segment [list $offset $range]
}

proc validate_bd_design {} {
  foreach cell $::S::cells {
    foreach entry $::S::pins_of($::S::core_of($cell)) {
      lassign $entry name direction
      if {$direction eq "in" && ![dict exists $::S::nets $cell/$name]} { fail "validate: $cell/$name is not driven" }
    }
    foreach entry [interfaces_of $cell] {
      lassign $entry name mode protocol
      if {![dict exists $::S::buses $cell/$name]} { fail "validate: $cell/$name is not joined" }
      if {$mode eq "slave" && $name in {S_AXI_LITE s_axi} && ![llength [dict keys $::S::windows $cell/$name/*]]} {
        fail "validate: $cell/$name has no address"
      }
    }
  }
}
proc save_bd_design {} {}
proc get_files {pattern} { return $pattern }
proc make_wrapper {args} { options make_wrapper {-top -import} {-files} {*}$args }
proc get_runs {name} { return $name }
proc launch_runs {args} {
  options launch_runs {} {-to_step -jobs} {*}$args
  set runs [file join $::S::project system.runs impl_1]
  set handoff [file join $::S::project system.gen sources_1 bd system hw_handoff]
  file mkdir $runs $handoff
  foreach file [list [file join $runs system_wrapper.bit] [file join $handoff system.hwh]] { close [open $file w] }
}
proc wait_on_run {run} {}
proc open_run {run} {}
proc report_utilization {args} { options report_utilization {-hierarchical} {-file} {*}$args }
proc report_timing_summary {args} { options report_timing_summary {} {-file} {*}$args }
proc get_timing_paths {args} { options get_timing_paths {} {-max_paths} {*}$args; return path }
proc get_property {key object} {
  switch -- $key {
    SLACK { return $::S::slack }
    PROGRESS { return 100% }
    STARTPOINT_PIN { return from }
    ENDPOINT_PIN { return to }
    default { fail "get_property: $key is not known" }
  }
}
proc unknown {command args} { fail "$command: no such command, with $args" }

set script [lindex $argv 0]
source $script
