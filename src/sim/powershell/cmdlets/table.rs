//! Declarations of the general cmdlets (Microsoft: the parameter lists of the modules' help).

use super::{CORE, Function, json_in, json_out, lists, objects, output, remote, system};
use crate::sim::powershell::machine::Edition;
use crate::sim::powershell::spec::{Param, Spec};

pub(super) struct Entry {
    pub(super) spec: Spec,
    /// `None` for a streaming cmdlet.
    pub(super) function: Option<Function>,
    /// Where only one edition has it so.
    pub(super) only: Option<Edition>,
}

const UTILITY: &str = "Microsoft.PowerShell.Utility";
const MANAGEMENT: &str = "Microsoft.PowerShell.Management";

const fn entry(
    name: &'static str,
    module: &'static str,
    class: &'static str,
    params: &'static [Param],
    function: Option<Function>,
) -> Entry {
    Entry {
        spec: Spec::new(name, module, class, params),
        function,
        only: None,
    }
}

const fn only(edition: Edition, mut entry: Entry) -> Entry {
    entry.only = Some(edition);
    entry
}

const fn confirming(mut entry: Entry) -> Entry {
    entry.spec.confirms = true;
    entry
}

const INPUT: Param = Param::any("InputObject");

pub(super) static TABLE: &[Entry] = &[
    entry(
        "ForEach-Object",
        CORE,
        "Microsoft.PowerShell.Commands.ForEachObjectCommand",
        &[
            Param::any("Process").at(0).rest(),
            Param::any("Begin"),
            Param::any("End"),
            Param::typed("MemberName", "string"),
            Param::any("ArgumentList").also(&["Args"]),
            INPUT,
        ],
        None,
    ),
    entry(
        "Where-Object",
        CORE,
        "Microsoft.PowerShell.Commands.WhereObjectCommand",
        &[
            Param::any("FilterScript").at(0),
            Param::typed("Property", "string"),
            Param::any("Value").at(1),
            Param::switch("EQ").also(&["IEQ"]),
            Param::switch("NE").also(&["INE"]),
            Param::switch("GT").also(&["IGT"]),
            Param::switch("GE").also(&["IGE"]),
            Param::switch("LT").also(&["ILT"]),
            Param::switch("LE").also(&["ILE"]),
            Param::switch("Like").also(&["ILike"]),
            Param::switch("NotLike").also(&["INotLike"]),
            Param::switch("Match").also(&["IMatch"]),
            Param::switch("NotMatch").also(&["INotMatch"]),
            Param::switch("Contains").also(&["IContains"]),
            Param::switch("NotContains").also(&["INotContains"]),
            Param::switch("In").also(&["IIn"]),
            Param::switch("NotIn").also(&["INotIn"]),
            Param::switch("CEQ"),
            Param::switch("CNE"),
            INPUT,
        ],
        None,
    ),
    entry(
        "Out-Null",
        CORE,
        "Microsoft.PowerShell.Commands.OutNullCommand",
        &[INPUT],
        None,
    ),
    entry(
        "Out-Default",
        CORE,
        "Microsoft.PowerShell.Commands.OutDefaultCommand",
        &[INPUT],
        Some(output::out_host),
    ),
    entry(
        "Out-Host",
        CORE,
        "Microsoft.PowerShell.Commands.OutHostCommand",
        &[INPUT],
        Some(output::out_host),
    ),
    entry(
        "Get-Command",
        CORE,
        "Microsoft.PowerShell.Commands.GetCommandCommand",
        &[
            Param::typed("Name", "string[]").at(0),
            Param::typed("Module", "string[]"),
            Param::typed("CommandType", "string[]").also(&["Type"]),
        ],
        Some(system::get_command),
    ),
    entry(
        "Set-StrictMode",
        CORE,
        "Microsoft.PowerShell.Commands.SetStrictModeCommand",
        &[Param::any("Version"), Param::switch("Off")],
        Some(system::set_strict_mode),
    ),
    entry(
        "Select-Object",
        UTILITY,
        "Microsoft.PowerShell.Commands.SelectObjectCommand",
        &[
            Param::any("Property").at(0),
            Param::typed("ExcludeProperty", "string[]"),
            Param::typed("ExpandProperty", "string"),
            Param::typed("First", "int"),
            Param::typed("Last", "int"),
            Param::typed("Skip", "int"),
            Param::typed("Index", "int[]"),
            Param::switch("Unique"),
            Param::switch("Wait"),
            INPUT,
        ],
        None,
    ),
    entry(
        "Sort-Object",
        UTILITY,
        "Microsoft.PowerShell.Commands.SortObjectCommand",
        &[
            Param::any("Property").at(0),
            Param::switch("Descending"),
            Param::switch("Unique"),
            Param::switch("CaseSensitive"),
            INPUT,
        ],
        Some(lists::sort),
    ),
    entry(
        "Measure-Object",
        UTILITY,
        "Microsoft.PowerShell.Commands.MeasureObjectCommand",
        &[
            Param::typed("Property", "string").at(0),
            Param::switch("Sum"),
            Param::switch("Average"),
            Param::switch("Maximum"),
            Param::switch("Minimum"),
            INPUT,
        ],
        Some(lists::measure),
    ),
    entry(
        "Group-Object",
        UTILITY,
        "Microsoft.PowerShell.Commands.GroupObjectCommand",
        &[
            Param::any("Property").at(0),
            Param::switch("NoElement"),
            Param::switch("AsHashTable").also(&["AHT"]),
            Param::switch("AsString"),
            Param::switch("CaseSensitive"),
            INPUT,
        ],
        Some(lists::group),
    ),
    only(
        Edition::Desktop,
        entry(
            "ConvertTo-Json",
            UTILITY,
            "Microsoft.PowerShell.Commands.ConvertToJsonCommand",
            &[
                INPUT.at(0),
                Param::typed("Depth", "int"),
                Param::switch("Compress"),
            ],
            Some(json_out::convert_to_json),
        ),
    ),
    only(
        Edition::Core,
        entry(
            "ConvertTo-Json",
            UTILITY,
            "Microsoft.PowerShell.Commands.ConvertToJsonCommand",
            &[
                INPUT.at(0),
                Param::typed("Depth", "int"),
                Param::switch("Compress"),
                Param::switch("EnumsAsStrings"),
                Param::switch("AsArray"),
            ],
            Some(json_out::convert_to_json),
        ),
    ),
    only(
        Edition::Desktop,
        entry(
            "ConvertFrom-Json",
            UTILITY,
            "Microsoft.PowerShell.Commands.ConvertFromJsonCommand",
            &[Param::typed("InputObject", "string").at(0)],
            Some(json_in::convert_from_json),
        ),
    ),
    only(
        Edition::Core,
        entry(
            "ConvertFrom-Json",
            UTILITY,
            "Microsoft.PowerShell.Commands.ConvertFromJsonCommand",
            &[
                Param::typed("InputObject", "string").at(0),
                Param::switch("AsHashtable"),
                Param::typed("Depth", "int"),
                Param::switch("NoEnumerate"),
            ],
            Some(json_in::convert_from_json),
        ),
    ),
    entry(
        "New-Object",
        UTILITY,
        "Microsoft.PowerShell.Commands.NewObjectCommand",
        &[
            Param::typed("TypeName", "string").at(0).mandatory(),
            Param::any("ArgumentList").at(1).also(&["Args"]),
            Param::any("Property"),
        ],
        Some(objects::new_object),
    ),
    entry(
        "Add-Member",
        UTILITY,
        "Microsoft.PowerShell.Commands.AddMemberCommand",
        &[
            Param::typed("NotePropertyName", "string").at(0),
            Param::any("NotePropertyValue").at(1),
            Param::typed("MemberType", "string").also(&["Type"]),
            Param::typed("Name", "string"),
            Param::any("Value"),
            Param::switch("Force"),
            Param::switch("PassThru"),
            INPUT,
        ],
        Some(objects::add_member),
    ),
    entry(
        "Remove-TypeData",
        UTILITY,
        "Microsoft.PowerShell.Commands.RemoveTypeDataCommand",
        &[
            Param::typed("TypeName", "string").at(0),
            Param::typed("Path", "string[]"),
        ],
        Some(objects::remove_type_data),
    ),
    entry(
        "New-TimeSpan",
        UTILITY,
        "Microsoft.PowerShell.Commands.NewTimeSpanCommand",
        &[
            Param::typed("Start", "datetime").at(0),
            Param::typed("End", "datetime").at(1),
            Param::typed("Days", "int"),
            Param::typed("Hours", "int"),
            Param::typed("Minutes", "int"),
            Param::typed("Seconds", "int"),
            Param::typed("Milliseconds", "int"),
        ],
        Some(system::new_time_span),
    ),
    entry(
        "Get-Date",
        UTILITY,
        "Microsoft.PowerShell.Commands.GetDateCommand",
        &[
            Param::typed("Date", "datetime").at(0),
            Param::typed("Format", "string"),
            Param::typed("UFormat", "string"),
        ],
        Some(system::get_date),
    ),
    entry(
        "Start-Sleep",
        UTILITY,
        "Microsoft.PowerShell.Commands.StartSleepCommand",
        &[
            Param::typed("Seconds", "double").at(0),
            Param::typed("Milliseconds", "int").also(&["ms"]),
        ],
        Some(system::start_sleep),
    ),
    entry(
        "Get-Culture",
        UTILITY,
        "Microsoft.PowerShell.Commands.GetCultureCommand",
        &[],
        Some(system::get_culture),
    ),
    entry(
        "Get-UICulture",
        UTILITY,
        "Microsoft.PowerShell.Commands.GetUICultureCommand",
        &[],
        Some(system::get_culture),
    ),
    entry(
        "Get-Variable",
        UTILITY,
        "Microsoft.PowerShell.Commands.GetVariableCommand",
        &[
            Param::typed("Name", "string[]").at(0),
            Param::switch("ValueOnly"),
            Param::typed("Scope", "string"),
        ],
        Some(objects::get_variable),
    ),
    entry(
        "Set-Variable",
        UTILITY,
        "Microsoft.PowerShell.Commands.SetVariableCommand",
        &[
            Param::typed("Name", "string[]").at(0).mandatory(),
            Param::any("Value").at(1),
        ],
        Some(objects::set_variable),
    ),
    entry(
        "Write-Output",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteOutputCommand",
        &[INPUT.at(0).rest(), Param::switch("NoEnumerate")],
        Some(output::write_output),
    ),
    entry(
        "Write-Error",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteErrorException",
        &[
            Param::typed("Message", "string").at(0).also(&["Msg"]),
            Param::any("Exception"),
            Param::any("ErrorRecord"),
            Param::typed("ErrorId", "string"),
            Param::typed("Category", "string"),
            Param::any("TargetObject"),
        ],
        Some(output::write_error),
    ),
    entry(
        "Write-Warning",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteWarningCommand",
        &[Param::typed("Message", "string").at(0).mandatory()],
        Some(output::write_warning),
    ),
    entry(
        "Write-Host",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteHostCommand",
        &[
            Param::any("Object").at(0).rest(),
            Param::switch("NoNewline"),
            Param::any("Separator"),
            Param::typed("ForegroundColor", "string"),
            Param::typed("BackgroundColor", "string"),
        ],
        Some(output::write_host),
    ),
    entry(
        "Write-Verbose",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteVerboseCommand",
        &[Param::typed("Message", "string").at(0).mandatory()],
        Some(output::write_verbose),
    ),
    entry(
        "Write-Debug",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteDebugCommand",
        &[Param::typed("Message", "string").at(0).mandatory()],
        Some(output::write_nothing),
    ),
    entry(
        "Write-Progress",
        UTILITY,
        "Microsoft.PowerShell.Commands.WriteProgressCommand",
        &[
            Param::typed("Activity", "string").at(0).mandatory(),
            Param::typed("Status", "string").at(1),
            Param::typed("Id", "int").at(2),
            Param::typed("PercentComplete", "int"),
            Param::typed("SecondsRemaining", "int"),
            Param::switch("Completed"),
        ],
        Some(output::write_progress),
    ),
    entry(
        "Out-String",
        UTILITY,
        "Microsoft.PowerShell.Commands.OutStringCommand",
        &[INPUT, Param::switch("Stream"), Param::typed("Width", "int")],
        Some(output::out_string),
    ),
    entry(
        "Invoke-Expression",
        UTILITY,
        "Microsoft.PowerShell.Commands.InvokeExpressionCommand",
        &[Param::typed("Command", "string").at(0).mandatory()],
        Some(system::invoke_expression),
    ),
    entry(
        "Invoke-Command",
        CORE,
        "Microsoft.PowerShell.Commands.InvokeCommandCommand",
        &[
            Param::typed("VMId", "guid[]").also(&["VMGuid"]),
            Param::any("Credential"),
            Param::any("ScriptBlock").at(1).also(&["Command"]),
            Param::any("ArgumentList").also(&["Args"]),
            INPUT,
        ],
        Some(remote::invoke),
    ),
    entry(
        "Get-Process",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.GetProcessCommand",
        &[
            Param::typed("Name", "string[]")
                .at(0)
                .also(&["ProcessName"]),
            Param::typed("Id", "int[]").also(&["PID"]),
        ],
        Some(system::get_process),
    ),
    confirming(entry(
        "Stop-Process",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.StopProcessCommand",
        &[
            Param::typed("Id", "int[]").at(0),
            Param::typed("Name", "string[]").also(&["ProcessName"]),
            INPUT,
            Param::switch("Force"),
            Param::switch("PassThru"),
        ],
        Some(system::stop_process),
    )),
    entry(
        "Test-Path",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.TestPathCommand",
        &[
            Param::typed("Path", "string[]").at(0),
            Param::typed("LiteralPath", "string[]").also(&["PSPath"]),
            Param::one_of("PathType", &["Any", "Container", "Leaf"]).also(&["Type"]),
        ],
        Some(system::test_path),
    ),
    entry(
        "Split-Path",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.SplitPathCommand",
        &[
            Param::typed("Path", "string[]").at(0),
            Param::typed("LiteralPath", "string[]"),
            Param::switch("Leaf"),
            Param::switch("Parent"),
            Param::switch("Qualifier"),
        ],
        Some(system::split_path),
    ),
    entry(
        "Join-Path",
        MANAGEMENT,
        "Microsoft.PowerShell.Commands.JoinPathCommand",
        &[
            Param::typed("Path", "string").at(0).mandatory(),
            Param::typed("ChildPath", "string").at(1).mandatory(),
        ],
        Some(system::join_path),
    ),
];
